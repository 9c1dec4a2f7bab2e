import { describe, expect, test } from 'vitest'
import { configSchema } from '../config.ts'
import type { HostMeasurement } from '../host/host.ts'
import { leastRoom, roomOf } from './headroom.ts'

const config = configSchema.parse({ limits: { max_machines: 8 } })
const host: HostMeasurement = {
  ...{ load: [1, 1, 1], cores: 2, cpuPressure: 10 },
  ...{ availableMemoryMiB: 20_000, totalMemoryMiB: 24_000, freeDiskMiB: 50_000 },
}
const least = (over: Partial<HostMeasurement>, running = 0, addresses = 64) =>
  leastRoom(config, { ...host, ...over }, { running, addresses })

describe('what bounds the number of machines', () => {
  test.each([
    ['the configuration', {}, 2, 64, 'capacity_exhausted', 6, /2 machines are in use; limits.max_machines allows 8/],
    ['the addresses', {}, 2, 5, 'ip_pool_exhausted', 3, /5 addresses/],
    ['memory', { availableMemoryMiB: 4000 }, 0, 64, 'insufficient_memory', 2, /4000 of 24000 MiB .* up to 1836/],
    ['no memory', { availableMemoryMiB: 1835 }, 0, 64, 'insufficient_memory', 0, /1835/],
    ['the disk', { freeDiskMiB: 95 }, 0, 64, 'disk_full', 2, /95 MiB/],
    [
      'the processors',
      { load: [20.1, 5, 1], cpuPressure: 90 },
      0,
      64,
      'insufficient_cpu',
      0,
      /load is 20.1 on 2 cores/,
    ],
  ] as const)('is %s', (_, over, running, addresses, code, more, detail) => {
    expect(least(over, running, addresses)).toEqual({ code, more, detail: expect.stringMatching(detail) })
  })
})

describe('processors', () => {
  const isBusy = (over: Partial<HostMeasurement>): boolean => roomOf(config, { ...host, ...over }).cpu.more < 1

  test('are not busy with what machines do: eight that use both of theirs, on two cores', () => {
    expect(isBusy({ load: [16, 16, 16], cpuPressure: 100 })).toBe(false)
  })
  test('are busy no longer when the load is only of the last minute', () => {
    expect(isBusy({ load: [40, 20, 9], cpuPressure: 3 })).toBe(false)
  })
  test('are judged by the load alone where the kernel does not tell of pressure', () => {
    expect(isBusy({ load: [20, 20, 9], cpuPressure: null })).toBe(false)
    expect(isBusy({ load: [21, 20, 9], cpuPressure: null })).toBe(true)
  })
})
