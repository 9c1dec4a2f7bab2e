import { AppError, newId, Scope } from '@anteroom/base'
import { expect, test } from 'vitest'
import type { ImageFiles } from '../../images/images.ts'
import type { SnapshotFiles } from '../../snapshots/snapshots.ts'
import { describeMachineDriver } from '../driver.contract.ts'
import { createFakeDriver, FakeHost } from './fake-driver.ts'

const host = new FakeHost()
const image = { id: 'img_000000000000000000000000', directory: '/image' } as ImageFiles
const slot = { kind: 'user', index: 0, ip: '127.0.0.2', vmmUid: null } as const
const machine = { image, snapshot: null, slot, memoryMiB: 1, vcpus: 1, wanted: 'running' } as const
const newSpec = async (id: string) => ({ id, ...machine })

describeMachineDriver('fake', () => ({
  newDriver: () => createFakeDriver(host),
  newSpec,
  kill: async (id) => host.kill(id),
  pause: async (id) => host.pause(id),
  snapshot: () => ({ id: 'snp_000000000000000000000000' }) as SnapshotFiles,
}))

test('a failure that a test asked for comes once, at that method', async () => {
  const driver = createFakeDriver(host)
  const scope = Scope.root('test')
  const id = newId('machine')
  host.failNext('create', new AppError('vmm_exited', { detail: 'as asked' }))
  await driver.list(scope)
  await expect(driver.create(await newSpec(id), scope)).rejects.toMatchObject({ code: 'vmm_exited' })
  expect(await driver.inspect(id, scope)).toBe('absent')
  await driver.create(await newSpec(id), scope)
  expect(await driver.inspect(id, scope)).toBe('running')
})
