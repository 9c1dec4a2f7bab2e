import type { Session } from '@anteroom/contract'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControllerProcess, startControllerProcess } from '../../harness/controller-process.ts'
import { instanceOf, noTraces, tracesOf } from '../../harness/traces.ts'
import { launchBrowser } from './browser.ts'
import { person, signInAsPerson } from './person.ts'

let controller: ControllerProcess
let browser: Browser

/** One person, one session; gives it and what it left on the host. */
async function connectOnce(provider: string, subject: string): Promise<{ session: Session; instance: string }> {
  const created = await controller.api.createSession(provider, subject)
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } })
  let instance = ''
  await signInAsPerson(await context.newPage(), created.hosted_url, provider, {
    atLogin: async () => {
      const { browser_vm_id } = await controller.api.session(created.id)
      instance = await instanceOf(browser_vm_id ?? '')
    },
  })
  const session = await controller.api.ended(created.id)
  await context.close()
  return { session, instance }
}

/** So many sign-ins by people at their pages, two at a time, of one kind and the other in turn. */
export function signInSideBySide(count: number): void {
  beforeAll(async () => {
    controller = await startControllerProcess('side-by-side')
    browser = await launchBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await controller?.remove()
  })

  test(`${count} in a row, two at a time, of both kinds: ${count} completed, nothing left`, async () => {
    const results: Awaited<ReturnType<typeof connectOnce>>[] = []
    const queue = Array.from({ length: count }, (_, index) => ({
      provider: index % 2 === 0 ? 'demo' : 'demo-site',
      subject: `${person.name}-${index}`,
    }))
    const lane = async (): Promise<void> => {
      for (let next = queue.shift(); next; next = queue.shift())
        results.push(await connectOnce(next.provider, next.subject))
    }
    await Promise.all([lane(), lane()])
    expect(results.map(({ session }) => session.outcome)).toEqual(Array(count).fill('completed'))
    expect(new Set(results.map(({ session }) => session.browser_vm_id)).size).toBe(count)
    expect(await controller.api.machines()).toEqual([])
    for (const { session, instance } of results) {
      const place = { id: session.browser_vm_id ?? '', ip: session.vm_ip ?? '', home: controller.home, instance }
      expect(await tracesOf(place)).toEqual(noTraces)
    }
  })
}
