import { AppError, newId, Scope } from '@anteroom/base'
import { expect, test } from 'vitest'
import { createFakeDriver, FakeHost } from '../machines/fake/fake-driver.ts'
import { watchMachine } from './autopsy.ts'

const scope = Scope.root('test')

async function watched(state: 'dies' | 'lives'): Promise<unknown> {
  const host = new FakeHost()
  const driver = createFakeDriver(host)
  const id = newId('machine')
  await driver.create({ id, wanted: 'running', snapshot: null } as never, scope)
  return await watchMachine(driver, id, scope, async () => {
    if (state === 'dies') host.kill(id, { vmm: 'terminating on signal 9' })
    throw new AppError('agent_unreachable', { detail: 'connect ECONNREFUSED' })
  }).catch((error: unknown) => error)
}

test('a machine that dies is the reason, though whoever was talking to it is heard first', async () => {
  expect(await watched('dies')).toMatchObject({ code: 'vmm_exited', detail: expect.stringContaining('signal 9') })
})

test('what goes wrong while it lives stays the reason', async () => {
  expect(await watched('lives')).toMatchObject({ code: 'agent_unreachable' })
})
