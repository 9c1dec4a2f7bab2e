import type { Scope } from '@anteroom/base'
import { openScreenWithoutPassword, type Screen } from '@anteroom/rfb'
import { findVmms } from '@anteroom/vmm'
import { availableMemoryMiB, instanceTag } from '../../packages/controller/src/host/host.ts'
import type { ControllerProcess } from '../../test/harness/controller-process.ts'
import { missingForMachines, startMeasured, untilPoolIsReady } from '../machines/controller-under-measure.ts'
import { untilLoginField } from '../machines/login-page.ts'
import { ownBytes } from '../machines/own-memory.ts'
import { PageVisit } from '../machines/page-visit.ts'
import { cpuMs, pssBytes } from '../process-usage.ts'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'
import { median } from '../statistics.ts'

const states = ['paused', 'idle, nobody looks', 'idle, one viewer', 'browsing'] as const
type State = (typeof states)[number]

/** One machine for the while that was measured. */
interface Usage {
  readonly ownMb: number
  readonly proportionalMb: number
  /** Of one core. */
  readonly cpuPercent: number
}

const pausedLimitMb = 45
const settleMs = 5_000
const sessionMs = 300_000
/** A quick typist. */
const betweenKeysMs = 120
const lineLength = 16
const backspace = 0xff08
/** For the host's own programs and the controller. */
const reserveMiB = 1024

export const machinesSuite: Suite = {
  name: 'machines',
  title: 'Memory and CPU of a paused, an idle and a browsing machine, and how many fit',
  missing: missingForMachines,
  run,
}

async function run(context: BenchContext, scope: Scope): Promise<Report> {
  const [waiting, sessions, seconds] = context.quick ? [2, 1, 10] : [8, 3, 15]
  const usages = new Map<State, Usage[]>()
  const add = (state: State, ...more: Usage[]): void => {
    usages.set(state, [...(usages.get(state) ?? []), ...more])
    context.progress(
      `${state}: ${more.map(({ ownMb, cpuPercent }) => `${ownMb.toFixed(1)} MB, ${cpuPercent} %`).join('; ')}`,
    )
  }
  const availableMiB = await availableMemoryMiB()
  const empty = await scope.run({ name: 'without a pool' }, (inner) => availableBeside(0, context, inner))
  const addedMb = await scope.run({ name: 'paused machines' }, async (inner) => {
    const controller = await startMeasured('machines', context, { pool: { size: waiting } }, inner)
    await untilPoolIsReady(controller, inner)
    await inner.clock.delay(settleMs, inner.signal)
    const left = await availableMemoryMiB()
    const pids = (await vmmsOf(controller)).map(({ identity }) => identity.pid)
    add('paused', ...(await usageOf(pids, seconds, inner)))
    return ((empty - left) / pids.length) * 1.048576
  })
  await scope.run({ name: 'live machines' }, async (inner) => {
    const controller = await startMeasured('machines', context, { pool: { size: 0 } }, inner)
    await untilPoolIsReady(controller, inner)
    for (let n = 0; n < sessions; n++)
      await inner.run({ name: 'session', deadlineMs: sessionMs }, (each) =>
        measureSession(controller, seconds, add, each),
      )
  })
  return { figures: figuresOf(usages, addedMb, availableMiB), notes: notesOn(waiting, seconds) }
}

/** MiB that are available while a controller waits with that many machines. */
async function availableBeside(size: number, context: BenchContext, scope: Scope): Promise<number> {
  const controller = await startMeasured('machines', context, { pool: { size } }, scope)
  await untilPoolIsReady(controller, scope)
  await scope.clock.delay(settleMs, scope.signal)
  return await availableMemoryMiB()
}

const vmmsOf = ({ home }: ControllerProcess) => findVmms(instanceTag(home))

async function usageOf(pids: readonly number[], seconds: number, scope: Scope): Promise<Usage[]> {
  const used = (): Promise<number[]> => Promise.all(pids.map((pid) => cpuMs([pid])))
  const [before, startedAt] = [await used(), scope.clock.monotonic()]
  await scope.race(scope.clock.delay(seconds * 1000, scope.signal))
  const [after, elapsedMs] = [await used(), scope.clock.monotonic() - startedAt]
  return await Promise.all(
    pids.map(async (pid, n) => {
      const cpuPercent = Math.round((1000 * ((after[n] ?? 0) - (before[n] ?? 0))) / elapsedMs) / 10
      return { ownMb: (await ownBytes(pid)) / 1e6, proportionalMb: (await pssBytes([pid])) / 1e6, cpuPercent }
    }),
  )
}

async function measureSession(
  controller: ControllerProcess,
  seconds: number,
  add: (state: State, ...more: Usage[]) => void,
  scope: Scope,
): Promise<void> {
  const { api } = controller
  const created = await api.createSession('demo-site', 'bench')
  scope.defer(async () => void (await api.call('POST', `/v1/sessions/${created.id}/cancel`, { body: {} })))
  const page = await PageVisit.enter(created, scope)
  await page.untilReady(scope)
  const { browser_vm_id } = await api.session(created.id)
  const pids = (await vmmsOf(controller)).filter(({ id }) => id === browser_vm_id).map(({ identity }) => identity.pid)
  const measure = async (state: State, inner: Scope): Promise<void> => {
    await inner.race(inner.clock.delay(settleMs, inner.signal))
    add(state, ...(await usageOf(pids, seconds, inner)))
  }
  const withViewer = (work: (screen: Screen, inner: Scope) => Promise<void>): Promise<void> =>
    scope.run({ name: 'viewer' }, async (inner) =>
      work(await openScreenWithoutPassword(await page.live(inner), inner), inner),
    )
  await withViewer(async (screen, inner) => void (await untilLoginField(screen, inner)))
  await measure('idle, nobody looks', scope)
  await withViewer(async (screen, inner) => {
    void watch(screen, inner).catch(() => {})
    await measure('idle, one viewer', inner)
    void type(screen, inner).catch(() => {})
    await measure('browsing', inner)
  })
  await api.call('POST', `/v1/sessions/${created.id}/cancel`, { body: {} })
  await api.ended(created.id)
}

/** Takes every picture, until the scope is over. */
async function watch(screen: Screen, scope: Scope): Promise<void> {
  for (let now = await screen.read(scope); ; ) now = await screen.changed(now, scope)
}

/** Types a line, deletes it, and so on until the scope is over; the pointer moves meanwhile. */
async function type(screen: Screen, scope: Scope): Promise<void> {
  for (let n = 0; ; n++) {
    screen.press(n % (2 * lineLength) < lineLength ? 'm'.charCodeAt(0) : backspace)
    screen.point(200 + ((n * 13) % 800), 300 + ((n * 7) % 300))
    await scope.race(scope.clock.delay(betweenKeysMs, scope.signal))
  }
}

function figuresOf(usages: ReadonlyMap<State, readonly Usage[]>, addedMb: number, availableMiB: number): Figure[] {
  const values = (state: State, of: (usage: Usage) => number): number[] => (usages.get(state) ?? []).map(of)
  const all = <T>(figure: (state: State) => T): T[] => states.map(figure)
  const forMachinesMb = (availableMiB - reserveMiB) * 1.048576
  const paused = { own: values('paused', ({ ownMb }) => ownMb), cpu: values('paused', ({ cpuPercent }) => cpuPercent) }
  return [
    ...all((state): Figure => {
      const target = { text: `at most ${pausedLimitMb} MB`, met: paused.own.every((mb) => mb <= pausedLimitMb) }
      const figure = { name: `own memory: ${state}`, unit: 'MB', values: values(state, ({ ownMb }) => ownMb) }
      return state === 'paused' ? { ...figure, target } : figure
    }),
    ...all(
      (state): Figure => ({
        ...{ name: `proportional memory: ${state}`, unit: 'MB' },
        values: values(state, ({ proportionalMb }) => proportionalMb),
      }),
    ),
    { name: 'what one more paused machine takes of the host', unit: 'MB', values: [addedMb] },
    ...all((state): Figure => {
      const target = { text: 'none', met: paused.cpu.every((percent) => percent === 0) }
      const figure = {
        name: `CPU: ${state}`,
        unit: '% of a core',
        values: values(state, ({ cpuPercent }) => cpuPercent),
      }
      return state === 'paused' ? { ...figure, target } : figure
    }),
    ...all(
      (state): Figure => ({
        ...{ name: `as many fit: ${state}`, unit: 'machines' },
        values: [Math.floor(forMachinesMb / median(values(state, ({ ownMb }) => ownMb)))],
      }),
    ),
  ]
}

const notesOn = (waiting: number, seconds: number): string[] => [
  `Paused: ${waiting} machines of a full pool. Live: at the login page of the demo site, at first with nobody looking, then with a viewer that takes every change, then with a key every ${betweenKeysMs} ms and a pointer that moves. CPU and memory over ${seconds} s, after ${settleMs / 1000} s to settle.`,
  "Own memory is what the machine's monitor has written and nobody else has (Private_Dirty); proportional memory (PSS) adds its share of what it maps of the snapshot, which is in the page cache once. What one more paused machine takes: by how much the host's MemAvailable is lower with that pool than without, divided by the machines; whatever else runs on the host is in it.",
  `As many fit: what was available of the host's memory at the start, less ${reserveMiB} MiB for the host and the controller, divided by the median of the own memory. By memory alone: a live machine needs CPU as well.`,
]
