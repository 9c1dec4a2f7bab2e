import { describe, expect, test } from 'vitest'
import { configSchema } from '../config.ts'
import { fitToMemory } from './memory-plan.ts'

const fit = (settings: object, hostMiB: number) => fitToMemory(configSchema.parse(settings), hostMiB)

describe('a configuration', () => {
  test('that fits is taken as it is', () => {
    const { config, reduced } = fit({}, 8_000)
    expect(config).toEqual(configSchema.parse({}))
    expect(reduced).toEqual([])
  })

  test('for more machines than fit is reduced, saying by how much and why', () => {
    const { config, reduced } = fit({ limits: { max_machines: 50 } }, 8_000)
    expect(config.limits.max_machines).toBe(4)
    expect(reduced).toEqual([
      'limits.max_machines 50 is taken as 4: a machine needs 1836 MiB (vmm.memory_mib 1536 and 300 for its monitor), this host has 8000 MiB',
    ])
  })

  test.each([
    [{ pool: { floor: 3, ceiling: 8 } }, { size: 'auto', floor: 2, ceiling: 2 }, 'pool.ceiling 8 is taken as 2'],
    [{ pool: { size: 8 } }, { size: 2 }, 'pool.size 8 is taken as 2'],
  ])('gives the pool what sessions leave: %j', (settings, pool, why) => {
    const { config, reduced } = fit(settings, 4 * 1836 + 120)
    expect(config.limits.max_machines).toBe(4)
    expect(config.pool).toMatchObject(pool)
    expect(reduced).toEqual([expect.stringContaining(why)])
  })

  test('for machines that are larger than the host is refused, naming the key and the numbers', () => {
    expect(() => fit({ vmm: { memory_mib: 4096 } }, 4_000)).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        detail: expect.stringMatching(/4396 MiB \(vmm.memory_mib 4096 .*this host has 4000 MiB/),
      }),
    )
  })
})

test('a floor above the ceiling is refused', () => {
  expect(configSchema.safeParse({ pool: { floor: 5, ceiling: 2 } }).error?.issues).toMatchObject([
    { path: ['pool'], message: 'pool.floor must not be above pool.ceiling' },
  ])
})
