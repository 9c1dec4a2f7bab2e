import { spawn } from 'node:child_process'
import { expect } from 'vitest'
import { measureHost, totalMemoryMiB } from '../../packages/controller/src/host/host.ts'
import { networkByte } from '../harness/controller-process.ts'
import { beside, checkOf, waitsFor } from './harness/beside.ts'
import { scope } from './harness/breakable-host.ts'
import { endAsAsked, faultTable } from './harness/stage.ts'

/** Programs that give way to all others, and count nevertheless; until both averages of the host say what they do to it. */
async function saturate(): Promise<() => void> {
  const programs = Array.from({ length: 40 }, () =>
    spawn('nice', ['-n', '19', 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' }),
  )
  await scope.until(async () => {
    const { load, cores, cpuPressure } = await measureHost('/')
    return (load[0] > 1.5 * cores && (cpuPressure ?? 100) > 70) || undefined
  }, 250)
  return () => {
    for (const program of programs) program.kill('SIGKILL')
  }
}

faultTable('host-room', {}, [
  {
    ...{
      id: 'H5',
      fault: 'every address is held: the next session waits, and is told for what',
      code: 'ip_pool_exhausted',
    },
    async inject(_stage, made) {
      const network = { kind: 'tap', pool: `10.${networkByte}.2.0/30` } as const
      return await beside('addresses', { network }, {}, async (controller) => {
        const { api } = controller
        const first = await api.createSession('demo-site', 'ada')
        await api.until(first.id, 'starting', ({ status }) => status !== 'queued')
        made()
        const second = await api.createSession('demo-site', 'grace')
        const reason = await waitsFor(controller, second.id)
        for (const { id } of [second, first]) expect(await endAsAsked(controller.api, id)).toBeNull()
        return reason
      })
    },
  },
  {
    ...{ id: 'H8', fault: 'a machine may take more memory than is free', code: 'insufficient_memory' },
    async inject(_stage, made) {
      // With its monitor's 300 MiB all of the memory, some of which is always in use.
      const vmm = { memory_mib: (await totalMemoryMiB()) - 310, accelerator: 'tcg', snapshots: 'off' } as const
      const config = { vmm, limits: { max_machines: 1 } }
      return await beside('memory', config, {}, async (controller) => {
        made()
        const { id } = await controller.api.createSession('demo-site', 'ada')
        const reason = await waitsFor(controller, id)
        expect((await checkOf(controller, 'memory')).verdict).toBe('failed')
        expect(await endAsAsked(controller.api, id)).toBeNull()
        return reason
      })
    },
  },
  {
    ...{ id: 'H8', fault: 'more programs want to run than there are processors', code: 'insufficient_cpu' },
    async inject(_stage, made) {
      const config = { vmm: { accelerator: 'tcg' }, limits: { max_machines: 1, max_load_per_core: 1 } } as const
      return await beside('processors', config, {}, async (controller) => {
        const undo = await saturate()
        made()
        try {
          const { id } = await controller.api.createSession('demo-site', 'ada')
          const reason = await waitsFor(controller, id)
          expect((await checkOf(controller, 'load')).verdict).toBe('failed')
          expect(await endAsAsked(controller.api, id)).toBeNull()
          return reason
        } finally {
          undo()
        }
      })
    },
  },
])
