import type { Scope } from '@anteroom/base'
import type { Api } from '../../test/harness/api.ts'
import type { ControllerProcess } from '../../test/harness/controller-process.ts'
import { metricsOf } from '../machines/controller-metrics.ts'
import { missingForMachines, startMeasured, untilPoolIsReady } from '../machines/controller-under-measure.ts'
import type { BenchContext, Report, Suite } from '../report.ts'

const machines = 10
const limitMs = 50

export const loopDelaySuite: Suite = {
  name: 'loop-delay',
  title: `Event loop of the controller while ${machines} machines start at once`,
  missing: missingForMachines,
  run,
}

async function run(context: BenchContext, scope: Scope): Promise<Report> {
  const rounds = context.quick ? 1 : 5
  // The load is what is measured here.
  const config = { limits: { max_machines: machines, max_load_per_core: 1000 } }
  const controller = await startMeasured('loop-delay', context, config, scope)
  await untilPoolIsReady(controller, scope)
  const delays: Awaited<ReturnType<typeof loopDelaysOf>>[] = []
  for (let round = 1; round <= rounds; round++) {
    const delay = await startAll(controller)
    delays.push(delay)
    context.progress(
      `${round} of ${rounds}: p99 ${delay.p99Ms.toFixed(1)} ms, longest ${delay.longestMs.toFixed(1)} ms`,
    )
  }
  const p99 = delays.map(({ p99Ms }) => p99Ms)
  return {
    figures: [
      { name: 'p99', unit: 'ms', values: p99, target: { text: `≤ ${limitMs} ms`, met: Math.max(...p99) <= limitMs } },
      { name: 'longest', unit: 'ms', values: delays.map(({ longestMs }) => longestMs) },
    ],
    notes: [
      `Each value is of one round: ${machines} sessions are asked for at once, until the last of them is ready. No warm machines, no slots made ahead.`,
      'From /metrics of the controller. A timer of 10 ms measures it, so that 10 ms are no delay at all.',
    ],
  }
}

/** Of the time since they were last read. */
async function loopDelaysOf(api: Api): Promise<{ readonly p99Ms: number; readonly longestMs: number }> {
  const value = await metricsOf(api)
  return {
    p99Ms: value('nodejs_eventloop_lag_p99_seconds') * 1000,
    longestMs: value('nodejs_eventloop_lag_max_seconds') * 1000,
  }
}

/** Gives the delays from the first request until the last machine is ready. */
async function startAll({ api }: ControllerProcess) {
  await loopDelaysOf(api)
  const created = await Promise.all(
    Array.from({ length: machines }, (_, n) => api.createSession('demo-site', `somebody ${n}`)),
  )
  await Promise.all(created.map(({ id }) => api.until(id, 'live', ({ status }) => status === 'ready')))
  const delays = await loopDelaysOf(api)
  await Promise.all(created.map(({ id }) => api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })))
  await Promise.all(created.map(({ id }) => api.ended(id)))
  return delays
}
