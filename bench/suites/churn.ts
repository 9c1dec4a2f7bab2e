import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '@anteroom/base'
import type { Session, StageName } from '@anteroom/contract'
import { findVmms } from '@anteroom/vmm'
import { instanceTag } from '../../packages/controller/src/host/host.ts'
import type { ControllerProcess } from '../../test/harness/controller-process.ts'
import { tracesOf } from '../../test/harness/traces.ts'
import { metricsOf } from '../machines/controller-metrics.ts'
import { missingForMachines, startMeasured, untilPoolIsReady } from '../machines/controller-under-measure.ts'
import { seeded } from '../machines/seeded.ts'
import { isStatus, sessionEvents } from '../machines/session-events.ts'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'
import { median } from '../statistics.ts'

const seed = 20_240_229
const cycleMs = 240_000
/** Of all sessions; the others are cancelled somewhere on their way there. */
const readyShare = 0.7
const earlyStages: readonly StageName[] = ['queue', 'network', 'machine', 'boot', 'claim', 'screen']
/** The controller's figures are read after so many sessions. */
const sampleEvery = 10
const growthLimitMb = 20
const slotsAhead = 1

interface Cycle {
  readonly ms: number
  readonly session: Session
  /** What is wrong with its end, in words. */
  readonly faults: readonly string[]
}

interface Sample {
  readonly residentMb: number
  readonly heapMb: number
  readonly loopDelayP99Ms: number
}

export const churnSuite: Suite = {
  name: 'churn',
  title: 'Sessions created and cancelled in a row',
  missing: missingForMachines,
  run,
}

async function run(context: BenchContext, scope: Scope): Promise<Report> {
  const count = context.quick ? 20 : 500
  const controller = await startMeasured('churn', context, { pool: { slots_ahead: slotsAhead } }, scope)
  await untilPoolIsReady(controller, scope)
  const key = (await readFile(join(controller.home, 'operator.key'), 'utf8')).trim()
  const random = seeded(seed)
  const cycles: Cycle[] = []
  const samples: Sample[] = []
  for (let n = 1; n <= count; n++) {
    const until = random() < readyShare ? 'ready' : (earlyStages[Math.floor(random() * earlyStages.length)] ?? 'ready')
    const cycle = await scope.run({ name: `cycle ${n}`, deadlineMs: cycleMs }, (inner) =>
      churn(controller, key, until, inner),
    )
    cycles.push(cycle)
    for (const fault of cycle.faults) context.progress(`${cycle.session.id}: ${fault}`)
    if (n % sampleEvery !== 0) continue
    samples.push(await sampleOf(controller))
    const { residentMb, heapMb } = samples.at(-1) as Sample
    const last = median(cycles.slice(-sampleEvery).map(({ ms }) => ms))
    context.progress(
      `${n} of ${count}: ${last.toFixed(0)} ms each, RSS ${residentMb.toFixed(0)} MB, heap ${heapMb.toFixed(0)} MB`,
    )
  }
  const left = await leftOver(controller, scope)
  for (const thing of left) context.progress(`left: ${thing}`)
  return { figures: figuresOf(cycles, samples, left.length), notes: notesOn(cycles, left) }
}

/** Creates a session, cancels it when it is so far, and waits until it has ended. */
async function churn(
  { api, url, home }: ControllerProcess,
  key: string,
  until: StageName | 'ready',
  scope: Scope,
): Promise<Cycle> {
  const startedAt = scope.clock.monotonic()
  const { id } = await api.createSession('demo', 'churn')
  let isCancelled = false
  for await (const event of sessionEvents(url, id, { authorization: `Bearer ${key}` }, scope)) {
    const isReady = isStatus('ready')(event)
    if (!isCancelled && (isReady || (event.type === 'stage' && event.data.name === until))) {
      isCancelled = true
      await api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
    }
    if (isStatus('ended')(event)) break
  }
  const ms = scope.clock.monotonic() - startedAt
  const session = await api.session(id)
  return { ms, session, faults: await faultsOf(session, home) }
}

async function faultsOf(session: Session, home: string): Promise<string[]> {
  const { status, outcome, failure, stages, browser_vm_id, vm_ip } = session
  const names = stages.map(({ name }) => name)
  const faults = [
    status === 'ended' && outcome === 'cancelled' ? '' : `${status} ${outcome} ${failure?.code ?? ''}`,
    names[0] === 'queue' && names.at(-1) === 'teardown' ? '' : `stages ${names.join(', ')}`,
    stages.every(({ duration_ms }) => duration_ms !== null) ? '' : 'a stage that never ended',
  ]
  if (browser_vm_id !== null && vm_ip !== null) {
    // Its address and namespace may be another's by now; those are counted at the end.
    const { processes, directories } = await tracesOf({ id: browser_vm_id, ip: '', home, instance: browser_vm_id })
    if (processes.length + directories.length > 0) faults.push('its machine is still there')
  }
  return faults.filter((fault) => fault !== '')
}

/** From the controller's own metrics. The delay is of the time since they were last read. */
async function sampleOf({ api }: ControllerProcess): Promise<Sample> {
  const value = await metricsOf(api)
  return {
    residentMb: value('process_resident_memory_bytes') / 1e6,
    heapMb: value('nodejs_heap_size_used_bytes') / 1e6,
    loopDelayP99Ms: value('nodejs_eventloop_lag_p99_seconds') * 1000,
  }
}

/** What is on the host of this controller beyond the pool's machines and the slots that are made ahead. */
async function leftOver(controller: ControllerProcess, scope: Scope): Promise<string[]> {
  await untilPoolIsReady(controller, scope)
  const { home, api } = controller
  const instance = instanceTag(home)
  const machines = (await api.machines()) as { id: string; session_id: string | null }[]
  const known = new Set(machines.map(({ id }) => id))
  const { namespaces, links, directories } = await tracesOf({ id: 'vm_', ip: '', home, instance })
  const slots = machines.length + slotsAhead
  const inFiles = directories.filter((name) => ![...known].some((id) => name.includes(id)))
  const running = (await findVmms(instance)).filter(({ id }) => !known.has(id))
  return [
    ...machines.filter(({ session_id }) => session_id !== null).map(({ id }) => `lease of ${id}`),
    ...running.map(({ id }) => `process of ${id}`),
    ...inFiles.map((name) => `directory ${name}`),
    ...namespaces.slice(slots).map((name) => `namespace ${name}`),
    ...links.slice(slots).map((name) => `link ${name}`),
  ]
}

function figuresOf(cycles: readonly Cycle[], samples: readonly Sample[], left: number): Figure[] {
  const truthful = cycles.filter(({ faults }) => faults.length === 0).length
  const [resident, heap] = [samples.map(({ residentMb }) => residentMb), samples.map(({ heapMb }) => heapMb)]
  const grown = [growthOf(resident), growthOf(heap)]
  const flat = { text: `within ${growthLimitMb} MB`, met: grown.every((mb) => mb <= growthLimitMb) }
  return [
    {
      ...{ name: 'ended truthfully', unit: 'sessions', values: [truthful] },
      target: { text: `all ${cycles.length}`, met: truthful === cycles.length },
    },
    { name: 'left on the host', unit: 'things', values: [left], target: { text: 'nothing', met: left === 0 } },
    ...(['warm', 'restored', 'booted', null] as const).flatMap((origin): Figure[] => {
      const values = cycles.filter(({ session }) => session.machine_origin === origin).map(({ ms }) => ms)
      const name = `create to nothing left: ${origin ?? 'cancelled before its machine ran'}`
      return values.length > 0 ? [{ name, unit: 'ms', values }] : []
    }),
    { name: 'memory of the controller (RSS)', unit: 'MB', values: resident },
    { name: 'heap of the controller', unit: 'MB', values: heap },
    { name: 'growth of RSS after warm-up', unit: 'MB', values: [grown[0] ?? 0], target: flat },
    { name: 'growth of the heap after warm-up', unit: 'MB', values: [grown[1] ?? 0] },
    { name: 'event loop delay, p99', unit: 'ms', values: samples.map(({ loopDelayP99Ms }) => loopDelayP99Ms) },
  ]
}

/** The first fifth is warm-up; of what follows the last fifth is compared with the first. */
function growthOf(values: readonly number[]): number {
  const fifth = Math.max(1, Math.floor(values.length / 5))
  const after = values.length > fifth ? values.slice(fifth) : values
  return median(after.slice(-fifth)) - median(after.slice(0, fifth))
}

function notesOn(cycles: readonly Cycle[], left: readonly string[]): string[] {
  const faulty = cycles.filter(({ faults }) => faults.length > 0)
  return [
    `${cycles.length} sessions one after the other, each with a real machine, with the pool as it is configured by default. ${readyShare * 100} % are cancelled when they are ready, the others at one of the stages before (seed ${seed}).`,
    'Truthful: the outcome is `cancelled`, each stage has ended, the first is `queue` and the last `teardown`, and neither process nor directory of the machine is there. Left on the host: what is there at the end of this controller beyond the machines of its pool and the slots made ahead: leases, processes, directories of machines, namespaces, links. What tells why each was cancelled (evidence) is kept, as always.',
    `Growth: the median of the last fifth of the samples after warm-up less that of the first; warm-up is the first fifth of the run. The delay of the event loop is the 99th percentile of each ${sampleEvery} sessions.`,
    ...faulty.slice(0, 20).map(({ session, faults }) => `${session.id}: ${faults.join('; ')}`),
    ...left.slice(0, 20).map((thing) => `left: ${thing}`),
  ]
}
