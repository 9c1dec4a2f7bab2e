import type { Scope } from '@anteroom/base'
import type { MachineOrigin, Session } from '@anteroom/contract'
import { findVmms } from '@anteroom/vmm'
import { instanceTag } from '../../packages/controller/src/host/host.ts'
import type { ControllerProcess } from '../../test/harness/controller-process.ts'
import { missingForMachines, startMeasured, untilPoolIsReady } from '../machines/controller-under-measure.ts'
import { untilHostRests } from '../machines/host-at-rest.ts'
import { PageVisit } from '../machines/page-visit.ts'
import { TightViewer } from '../machines/tight-viewer.ts'
import { cpuMs } from '../process-usage.ts'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'
import { median, percentile } from '../statistics.ts'

const kinds = ['cold', 'restored', 'warm'] as const
type Kind = (typeof kinds)[number]
const counts = [1, 2, 4] as const
const most = Math.max(...counts)

const configOf = {
  cold: { vmm: { snapshots: 'off' }, pool: { size: 0 } },
  restored: { vmm: { snapshots: 'on' }, pool: { size: 0 } },
  warm: { vmm: { snapshots: 'on' }, pool: { size: most } },
} as const
const originOf: Readonly<Record<Kind, MachineOrigin>> = { cold: 'booted', restored: 'restored', warm: 'warm' }

/** How often each kind is clicked, by how many click at once. */
type Effort = Readonly<Record<Kind, Readonly<Record<number, number>>>>
const thorough: Effort = {
  cold: { 1: 4, 2: 2, 4: 1 },
  restored: { 1: 12, 2: 5, 4: 3 },
  warm: { 1: 24, 2: 6, 4: 4 },
}
const quick: Effort = { cold: { 1: 1 }, restored: { 1: 3, 2: 1 }, warm: { 1: 5, 2: 2 } }

/** Under emulation four that boot at once take as long as one after the other. */
const clickMs = 300_000
const restoredLimitMs = 2000
const restoredTimesSooner = 15
const warmLimitMs = { median: 700, p95: 1200 }

/** From the click; each part begins where the one before ended. */
interface Click {
  readonly totalMs: number
  readonly parts: Readonly<Record<string, number>>
}

export const firstFrameSuite: Suite = {
  name: 'first-frame',
  title: 'Click to the first painted frame at the viewer',
  missing: missingForMachines,
  run,
}

async function run(context: BenchContext, scope: Scope): Promise<Report> {
  const effort = context.quick ? quick : thorough
  const controllers = new Map<Kind, ControllerProcess>()
  for (const kind of kinds) {
    const config = { ...configOf[kind], limits: { max_machines: most, max_per_subject: 'none' as const } }
    const controller = await startMeasured(kind, context, config, scope)
    context.progress(`${kind}: waiting for the snapshot and the pool`)
    await untilPoolIsReady(controller, scope)
    controllers.set(kind, controller)
  }
  const clicks = new Map<string, Click[]>()
  let busy = 0
  for (const { kind, count, text } of plan(effort)) {
    const controller = controllers.get(kind) as ControllerProcess
    await untilPoolIsReady(controller, scope)
    if (!(await untilHostRests(scope))) busy++
    const made = await Promise.all(Array.from({ length: count }, () => click(controller, originOf[kind], scope)))
    clicks.set(keyOf(kind, count), [...(clicks.get(keyOf(kind, count)) ?? []), ...made])
    context.progress(`${text}: ${made.map(({ totalMs }) => `${totalMs.toFixed(0)} ms`).join(', ')}`)
  }
  return { figures: figuresOf(clicks), notes: notesOn(busy) }
}

const keyOf = (kind: Kind, count: number): string => `${kind}, ${count} at a time`

/** The kinds in turn, so that what passes over the host meets all of them. */
function* plan(effort: Effort): Generator<{ kind: Kind; count: number; text: string }> {
  for (const count of counts) {
    const rounds = (kind: Kind): number => effort[kind][count] ?? 0
    const all = Math.max(...kinds.map(rounds))
    for (let round = 0; round < all; round++)
      for (const kind of kinds) {
        // Spread over the rounds of the one that has the most.
        const [before, after] = [round, round + 1].map((n) => Math.floor((n * rounds(kind)) / all))
        if (before !== after) yield { kind, count, text: `${keyOf(kind, count)} ${after}/${rounds(kind)}` }
      }
  }
}

/** As a person has it: the link, its page, the live view. Resolves when nothing of the session is left. */
async function click({ api, home }: ControllerProcess, origin: MachineOrigin, scope: Scope): Promise<Click> {
  return await scope.run({ name: 'click', deadlineMs: clickMs }, async (inner) => {
    const moments = [inner.clock.monotonic()]
    const note = (): void => void moments.push(inner.clock.monotonic())
    const created = await api.createSession('demo', 'bench')
    note()
    const page = await PageVisit.enter(created, inner)
    note()
    await page.untilReady(inner)
    note()
    const viewer = await TightViewer.open(await page.live(inner), inner)
    note()
    while (!(await viewer.frame(inner)).isPainted);
    note()
    const session = await api.session(created.id)
    if (session.machine_origin !== origin) throw new Error(`the machine is ${session.machine_origin}, not ${origin}`)
    const machine = (await findVmms(instanceTag(home))).find(({ id }) => id === session.browser_vm_id)
    const usedMs = await cpuMs(machine ? [machine.identity.pid] : [])
    await api.call('POST', `/v1/sessions/${created.id}/cancel`, { body: {} })
    await api.ended(created.id)
    return measured(moments, session, usedMs)
  })
}

const pageParts = ['the link', 'the page', 'until ready', 'to the gateway', 'picture']
const cpuPart = 'CPU of its machine'
const stages = ['queue', 'network', 'machine', 'boot', 'claim', 'screen']

function measured(moments: readonly number[], session: Session, usedMs: number): Click {
  const parts = moments.slice(1).map((at, n) => [pageParts[n] ?? '', at - (moments[n] ?? 0)] as const)
  const ofStages = stages.flatMap((name) => {
    const stage = session.stages.find((one) => one.name === name)
    return stage?.duration_ms == null ? [] : [[`stage ${name}`, stage.duration_ms] as const]
  })
  const [first = 0, last = 0] = [moments[0], moments.at(-1)]
  return { totalMs: last - first, parts: Object.fromEntries([...parts, ...ofStages, [cpuPart, usedMs]]) }
}

function figuresOf(clicks: ReadonlyMap<string, readonly Click[]>): Figure[] {
  const totals = (key: string): number[] => (clicks.get(key) ?? []).map(({ totalMs }) => totalMs)
  const cells = counts.flatMap((count) => kinds.map((kind) => ({ kind, count, key: keyOf(kind, count) })))
  const measuredCells = cells.filter(({ key }) => clicks.has(key))
  const whole = measuredCells.map(({ kind, count, key }): Figure => {
    const values = totals(key)
    const cold = keyOf('cold', count)
    const target = count === 1 ? targetOf(kind, values, totals(cold)) : undefined
    return {
      ...{ name: key, unit: 'ms', values },
      ...(kind !== 'cold' && clicks.has(cold) && { baseline: cold }),
      ...(target && { target }),
    }
  })
  const parts = measuredCells.flatMap(({ key }) =>
    [...pageParts, ...stages.map((name) => `stage ${name}`), cpuPart].flatMap((part): Figure[] => {
      const values = (clicks.get(key) ?? []).flatMap(({ parts }) => parts[part] ?? [])
      return values.length > 0 ? [{ name: `${key}: ${part}`, unit: 'ms', values }] : []
    }),
  )
  return [...whole, ...parts]
}

function targetOf(kind: Kind, values: readonly number[], cold: readonly number[]): Figure['target'] {
  switch (kind) {
    case 'cold':
      return undefined
    case 'restored': {
      const isSooner = median(cold) / median(values) >= restoredTimesSooner
      return {
        text: `median under ${restoredLimitMs} ms, ${restoredTimesSooner}× sooner than cold`,
        met: median(values) < restoredLimitMs && isSooner,
      }
    }
    case 'warm':
      return {
        text: `median under ${warmLimitMs.median} ms, p95 under ${warmLimitMs.p95} ms`,
        met: median(values) < warmLimitMs.median && percentile(values, 95) < warmLimitMs.p95,
      }
  }
}

const notesOn = (busy: number): string[] => [
  "From POST /v1/sessions until the viewer has the whole first picture of the screen, through the gateway: the link's page, its secret, the event stream until `ready`, a ticket, the WebSocket, RFB, and a whole FramebufferUpdate in the encodings of the live view, judged painted. No picture is decoded, no script of the page is loaded.",
  'Cold: the machine boots. Restored: from the golden snapshot, nothing waits. Warm: woken from a full pool. Each kind has a controller of its own; the kinds take turns, each click when the pool is full and the host at rest.',
  `Parts follow each other; stages are what the session's own record says of the time until ready. CPU is what the machine's monitor has used since it was started, both cores together: it hardly changes when others use the host as well.${busy > 0 ? ` Before ${busy} clicks the host did not come to rest within 10 s.` : ''}`,
]
