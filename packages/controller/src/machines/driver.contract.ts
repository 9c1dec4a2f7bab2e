import { newId, Scope } from '@anteroom/base'
import { describe, expect, test } from 'vitest'
import type { SnapshotFiles } from '../snapshots/snapshots.ts'
import type { MachineDriver, MachineSpec } from './driver.ts'

export interface DriverUnderTest {
  /** A driver as a controller that has just started would have it; the machines of earlier ones are still there. */
  newDriver(): MachineDriver
  /** A machine that could be started now; each on a slot of its own. */
  newSpec(id: string): Promise<MachineSpec>
  /** The machine's monitor dies as by the kernel's hand. */
  kill(id: string): Promise<void>
  pause(id: string): Promise<void>
  /** A saved machine of the specs' image. */
  snapshot(): SnapshotFiles
}

const scope = Scope.root('test')

/** What every machine driver does. `subject` is asked for when the tests run. */
export function describeMachineDriver(name: string, subject: () => DriverUnderTest): void {
  const setUp = async () => {
    const id = newId('machine')
    return { id, driver: subject().newDriver(), spec: await subject().newSpec(id) }
  }

  describe(`machine driver: ${name}`, () => {
    test('a machine runs from create to destroy, and then there is nothing', async () => {
      const { id, driver, spec } = await setUp()
      expect(await driver.inspect(id, scope)).toBe('absent')
      expect(await driver.create(spec, scope)).toMatchObject({ id })
      expect(await driver.inspect(id, scope)).toBe('running')
      expect(await driver.list(scope)).toContain(id)
      await driver.destroy(id, scope)
      expect(await driver.inspect(id, scope)).toBe('absent')
      expect(await driver.list(scope)).not.toContain(id)
    })

    test('what never existed is absent, without evidence, and can be destroyed', async () => {
      const { id, driver } = await setUp()
      expect(await driver.inspect(id, scope)).toBe('absent')
      expect(await driver.evidence(id)).toEqual({ console: '', vmm: '' })
      await driver.destroy(id, scope)
      await driver.destroy(id, scope)
      await expect(driver.resume(id, scope)).rejects.toMatchObject({ code: 'machine_lost' })
    })

    test('creating twice, one after the other or at once, makes one machine', async () => {
      const { id, driver, spec } = await setUp()
      const [first, second] = await Promise.all([driver.create(spec, scope), driver.create(spec, scope)])
      expect(second).toEqual(first)
      expect(await driver.create(spec, scope)).toEqual(first)
      expect((await driver.list(scope)).filter((other) => other === id)).toHaveLength(1)
      await driver.destroy(id, scope)
      expect(await driver.inspect(id, scope)).toBe('absent')
    })

    test('a machine outlives its controller, and the next one adopts it', async () => {
      const { id, driver, spec } = await setUp()
      const created = await driver.create(spec, scope)
      const next = subject().newDriver()
      expect(await next.list(scope)).toContain(id)
      expect(await next.inspect(id, scope)).toBe('running')
      expect(await next.create(spec, scope)).toEqual(created)
      await next.destroy(id, scope)
      expect(await driver.inspect(id, scope)).toBe('absent')
    })

    test('a machine that died is absent, keeps its evidence until it is destroyed, and can be made again', async () => {
      const { id, driver, spec } = await setUp()
      await driver.create(spec, scope)
      const { console } = await scope.until(async () => {
        const evidence = await driver.evidence(id)
        return evidence.console === '' ? undefined : evidence
      }, 20)
      await subject().kill(id)
      expect(await driver.inspect(id, scope)).toBe('absent')
      expect((await driver.evidence(id)).console).toContain(console.slice(0, 10))
      expect(await driver.list(scope)).toContain(id)
      await driver.create(spec, scope)
      expect(await driver.inspect(id, scope)).toBe('running')
      await driver.destroy(id, scope)
      expect(await driver.evidence(id)).toEqual({ console: '', vmm: '' })
    })

    test('a paused machine says so and runs again when it is resumed', async () => {
      const { id, driver, spec } = await setUp()
      await driver.create(spec, scope)
      await subject().pause(id)
      expect(await driver.inspect(id, scope)).toBe('paused')
      await driver.resume(id, scope)
      expect(await driver.inspect(id, scope)).toBe('running')
      await driver.resume(id, scope)
      expect(await driver.inspect(id, scope)).toBe('running')
      await driver.destroy(id, scope)
    })

    test('a restored machine waits paused, also for the next controller, until it is resumed, and says what it is', async () => {
      const { id, driver, spec } = await setUp()
      expect(await driver.create(spec, scope)).toMatchObject({ origin: 'booted' })
      await driver.destroy(id, scope)
      const restored = { ...spec, snapshot: subject().snapshot(), wanted: 'paused' } as const
      const created = await driver.create(restored, scope)
      expect(created).toMatchObject({ id, origin: 'restored' })
      expect(await driver.inspect(id, scope)).toBe('paused')
      const next = subject().newDriver()
      expect(await next.create(restored, scope)).toEqual(created)
      expect(await next.inspect(id, scope)).toBe('paused')
      await next.resume(id, scope)
      expect(await next.inspect(id, scope)).toBe('running')
      await next.destroy(id, scope)
      await driver.create({ ...restored, wanted: 'running' }, scope)
      expect(await driver.inspect(id, scope)).toBe('running')
      await driver.destroy(id, scope)
    })

    test('destroying one machine does not touch another', async () => {
      const [one, other] = [await setUp(), await setUp()]
      await one.driver.create(one.spec, scope)
      await one.driver.create(other.spec, scope)
      await one.driver.destroy(one.id, scope)
      expect(await one.driver.inspect(other.id, scope)).toBe('running')
      await one.driver.destroy(other.id, scope)
    })

    test('nothing is made for a caller that has given up', async () => {
      const { id, driver, spec } = await setUp()
      const over = Scope.root('test')
      over.cancel()
      await expect(driver.create(spec, over)).rejects.toMatchObject({ code: 'session_cancelled' })
      expect(await driver.inspect(id, scope)).toBe('absent')
      await driver.destroy(id, scope)
    })
  })
}
