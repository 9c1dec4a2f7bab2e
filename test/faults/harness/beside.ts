import { type DoctorCheckName, type DoctorReport, doctorReport, type ErrorCode } from '@anteroom/contract'
import { expect } from 'vitest'
import {
  type ControllerConfig,
  type ControllerProcess,
  otherNetwork,
  refusedWith,
  type Setting,
  startControllerProcess,
} from '../../harness/controller-process.ts'
import { scope } from './breakable-host.ts'

/** Another controller on the same host, for as long as `work` takes. */
export async function beside<T>(
  name: string,
  config: ControllerConfig,
  setting: Setting,
  work: (controller: ControllerProcess) => Promise<T>,
): Promise<T> {
  const other = { ...config, network: { ...otherNetwork, ...config.network } }
  const controller = await startControllerProcess(`faults-${name}`, other, setting)
  try {
    return await work(controller)
  } finally {
    await controller.remove()
  }
}

/** The code with which another controller on the same host refuses to start; what it says holds each of the words. */
export async function refusedToStart(
  config: ControllerConfig,
  setting: Setting,
  words: readonly (string | RegExp)[],
): Promise<ErrorCode> {
  const { code, said } = await refusedWith({ ...config, network: { ...otherNetwork, ...config.network } }, setting)
  for (const word of words) expect(said).toMatch(word)
  return code
}

export async function checkOf(
  { api }: ControllerProcess,
  name: DoctorCheckName,
): Promise<DoctorReport['checks'][number]> {
  const { body } = await api.call('GET', '/v1/doctor')
  const check = doctorReport.parse(body).checks.find((one) => one.name === name)
  if (!check) throw new Error(`the doctor has no check ${name}`)
  return check
}

/** What a session in the queue waits for. */
export async function waitsFor({ api }: Pick<ControllerProcess, 'api'>, id: string): Promise<ErrorCode> {
  return await scope.run({ name: 'reason of waiting', deadlineMs: 10_000 }, (inner) =>
    inner.until(async () => {
      const { status, queue } = await api.session(id)
      expect(status).toBe('queued')
      return queue?.reason ?? undefined
    }, 50),
  )
}
