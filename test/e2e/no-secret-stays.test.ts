import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '@anteroom/base'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { machineSecrets } from '../../packages/controller/src/agent/agent.ts'
import { openStoreToRead } from '../../packages/controller/src/store/store.ts'
import { openVault } from '../../packages/controller/src/vault/vault.ts'
import { testAudit } from '../../packages/controller/test/test-audit.ts'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { resultsDirectory } from '../harness/places.ts'
import { launchBrowser } from './harness/browser.ts'
import { person, signInAsPerson } from './harness/person.ts'

const name = 'no-secret-stays'
let controller: ControllerProcess
let browser: Browser
beforeAll(async () => {
  controller = await startControllerProcess(name, { log_level: 'debug' })
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  await controller?.remove()
})

/** Every file of the state directory itself; images and snapshots are linked. */
async function filesOf(home: string): Promise<string[]> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

async function secretsOfMachine(id: string): Promise<string[]> {
  const store = await openStoreToRead(join(controller.home, 'anteroom.sqlite'))
  try {
    const keyFile = join(controller.home, 'vault.key')
    const vault = await openVault({
      keyFile,
      store: store as never,
      clock: systemClock,
      audit: testAudit({ store: store as never }),
    })
    return Object.values(machineSecrets((label) => vault.deriveKey(label), id))
  } finally {
    await store.close()
  }
}

test('what was typed, what was handed over and what opened the way to it is in no file afterwards', async () => {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage()
  const tickets: string[] = []
  page.on('websocket', (socket) => tickets.push(new URL(socket.url()).searchParams.get('ticket') ?? ''))
  const created = await controller.api.createSession('demo', 'somebody')
  await signInAsPerson(page, created.hosted_url, 'demo')
  const session = await controller.api.ended(created.id)
  expect(session.outcome).toBe('completed')
  const { value } = await controller.api.credential(session.connection_id ?? '')
  if (value.kind !== 'oauth2') throw new Error(`a credential of kind ${value.kind}`)

  const secrets = [
    ...[person.password, value.access_token, value.refresh_token ?? '', value.id_token ?? ''],
    ...[created.hosted_url.split('#entry=')[1] ?? '', ...tickets],
    ...(await secretsOfMachine(session.browser_vm_id ?? '')),
    ...(await page.context().cookies()).map((cookie) => cookie.value),
  ].filter((secret) => secret !== '')
  expect(tickets.length).toBeGreaterThan(0)
  expect(secrets.length).toBeGreaterThan(8)
  const files = [...(await filesOf(controller.home)), join(resultsDirectory, `controller-${name}.log`)]
  expect(files.filter((file) => file.includes(created.id)).length).toBeGreaterThan(3)
  const key = (await readFile(join(controller.home, 'operator.key'), 'utf8')).trim()
  const hits: string[] = []
  for (const file of files) {
    const content = await readFile(file)
    for (const secret of secrets) if (content.includes(secret)) hits.push(`${secret.slice(0, 4)}… in ${file}`)
    if (content.includes(key) && !file.endsWith('/operator.key')) hits.push(`the operator's key in ${file}`)
  }
  expect(hits).toEqual([])
})
