import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand, type Scope } from '@anteroom/base'
import { type PoolStatus, poolStatus } from '@anteroom/contract'
import {
  type ControllerConfig,
  type ControllerProcess,
  startControllerProcess,
} from '../../test/harness/controller-process.ts'
import type { BenchContext } from '../report.ts'

/** A snapshot that is not there yet is built first: a boot, a restore, and the wait for another who builds. */
const readyMs = 400_000

/** What keeps machines from running here, in words for the person. */
export async function missingForMachines({ home }: BenchContext, scope: Scope): Promise<string | undefined> {
  const hasImage = await access(join(home, 'images/current')).then(
    () => true,
    () => false,
  )
  if (!hasImage) return `There is no golden image in ${home} (npm run image).`
  return await runCommand(scope, 'qemu-system-x86_64', ['--version']).then(
    () => undefined,
    () => 'qemu-system-x86_64 does not run (apt-get install qemu-system-x86).',
  )
}

let started = 0

/**
 * The real program in a process of its own, with a new state directory and addresses that nobody else uses. When the scope is over
 * it and whatever it runs are ended, and its state directory is removed.
 */
export async function startMeasured(
  name: string,
  context: BenchContext,
  config: Omit<ControllerConfig, 'network'>,
  scope: Scope,
): Promise<ControllerProcess> {
  const subnet = started++ % 250
  const network = { pool: `10.215.${subnet}.0/24`, user_pool: `127.215.${subnet}.0/26` }
  const logs = join(context.directory, 'logs')
  await mkdir(logs, { recursive: true })
  const starting = startControllerProcess(
    name,
    { demo: 'on', log_level: 'warn', ...config, network },
    { images: join(context.home, 'images'), parent: context.directory, logs },
  )
  // Also one that comes up only after nobody wants it any more.
  scope.defer(async () => await (await starting.catch(() => undefined))?.remove())
  return await scope.race(starting)
}

export const poolOf = async ({ api }: ControllerProcess): Promise<PoolStatus> =>
  poolStatus.parse((await api.call('GET', '/v1/pool')).body)

/** Its machines can be restored, and as many as are wanted wait. */
export async function untilPoolIsReady(controller: ControllerProcess, scope: Scope): Promise<void> {
  await scope.run({ name: 'the pool is full', deadlineMs: readyMs }, (inner) =>
    inner.until(async () => {
      const { snapshot, ready, wanted, filling } = await poolOf(controller)
      if (snapshot.status === 'failed') throw new Error(`the golden snapshot could not be made: ${snapshot.why}`)
      return snapshot.status === 'off' || (snapshot.status === 'ready' && ready >= wanted && filling === 0) || undefined
    }, 50),
  )
}
