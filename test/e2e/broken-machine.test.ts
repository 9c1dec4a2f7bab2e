import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorDefinitions } from '@anteroom/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { launchBrowser } from './harness/browser.ts'

/** Says its version like the real one, and ends when it should run a machine: late enough for somebody to have come to the page. */
const brokenMonitor = `#!/bin/sh
case " $* " in *" --version "*) exec qemu-system-x86_64 --version ;; esac
sleep 5
echo "no machines today" >&2
exit 3
`

let directory: string
let controller: ControllerProcess
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-broken-'))
  const binary = join(directory, 'broken-monitor')
  await writeFile(binary, brokenMonitor)
  await chmod(binary, 0o755)
  controller = await startControllerProcess('broken-machine', { vmm: { binary, accelerator: 'tcg' } })
})
afterAll(async () => {
  await controller?.remove()
  await rm(directory, { recursive: true })
})

test('a session whose machine cannot be made fails with a code, and the page says it in words', async () => {
  const created = await controller.api.createSession('demo', 'ada')
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage()
    await page.goto(created.hosted_url)
    await page.locator('[data-testid=status][data-outcome=failed]').waitFor({ state: 'attached', timeout: 120_000 })
    const session = await controller.api.ended(created.id)
    expect(session).toMatchObject({ outcome: 'failed', failure: { code: 'vmm_exited', stage: 'machine' } })
    expect(session.failure?.detail).toContain('no machines today')
    // What the person reads is about them, not about the monitor.
    await page.getByText(errorDefinitions.vmm_exited.person).waitFor()
    expect(await page.locator('body').textContent()).not.toContain('no machines today')
    expect(await controller.api.machines()).toEqual([])
  } finally {
    await browser.close()
  }
})
