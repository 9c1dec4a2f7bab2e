import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { newToken } from '@anteroom/base'
import { type ErrorCode, problem, type Session } from '@anteroom/contract'
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest'
import type { Answer, Api } from '../../harness/api.ts'
import {
  type ControllerConfig,
  type ControllerProcess,
  type Setting,
  startControllerProcess,
} from '../../harness/controller-process.ts'
import { keepRows } from '../../harness/kept-rows.ts'
import { instanceOf, type MachinePlace, type Traces, tracesOf } from '../../harness/traces.ts'
import type { FaultRow } from './reference.ts'
import { untilAtLogin } from './somebody.ts'

/** A controller, and somebody in the middle of a sign-in who must not notice anything. */
export interface Stage {
  readonly controller: ControllerProcess
  /** As it was when the stage was set. */
  readonly bystander: Session
  /** Another controller on the same state directory is the controller from here on. */
  replace(controller: ControllerProcess): void
}

export interface FaultTest {
  readonly id: string
  /** Which of the faults of that line of the plan. */
  readonly fault: string
  /** What must be given; `null`: nothing goes wrong, by another way. */
  readonly code: ErrorCode | null
  /** Why it is not made for real, and what stands in for it. */
  readonly standIn?: string
  /** Makes the fault, calls `made` at that moment, and gives what is given for it. Undoes what it did to the host. */
  inject(stage: Stage, made: () => void): Promise<ErrorCode | null>
}

/** A line of the plan that this table does not inject: why, and what shows it instead. */
export interface ShownElsewhere {
  readonly id: string
  readonly fault: string
  readonly code: ErrorCode | null
  readonly note: string
}

export interface TableSetting {
  readonly config?: ControllerConfig
  readonly prepare?: () => Promise<Setting>
  readonly elsewhere?: readonly ShownElsewhere[]
}

/** All faults of one table: one controller, one bystander, one fault after the other. `table` is the name of the test file. */
export function faultTable(
  table: string,
  { config, prepare, elsewhere = [] }: TableSetting,
  faults: readonly FaultTest[],
): void {
  let controller: ControllerProcess
  let bystander: Session
  let place: MachinePlace
  let atFirst: Traces
  /** By fault: one that is tried again counts once. */
  const rows = new Map<string, FaultRow>()
  beforeAll(async () => {
    controller = await startControllerProcess(`faults-${table}`, config, await prepare?.())
    const { id } = await controller.api.createSession('demo-site', 'bystander')
    bystander = await controller.api.until(id, 'live', ({ status }) => status === 'ready')
    await untilAtLogin(controller.api, id)
    const machine = { id: bystander.browser_vm_id ?? '', ip: bystander.vm_ip ?? '', home: controller.home }
    place = { ...machine, instance: await instanceOf(machine.id) }
    atFirst = await tracesOf(place)
  })
  afterAll(async () => {
    await controller?.remove()
    if (rows.size < faults.length) return
    const shown = elsewhere.map((line) => ({ ...line, milliseconds: null, leftovers: 0, affected: 0 }))
    await keepRows('faults', table, [...rows.values(), ...shown])
  })

  // A name that is put together of fields is cut where a field is long.
  const named = faults.map((row) => [`${row.id} ${row.fault}: ${row.code}`, row] as const)
  test.each(named)('%s', async (_name, { id, fault, code, standIn = null, inject }) => {
    let madeAt = performance.now()
    const replace = (next: ControllerProcess): void => {
      controller = next
    }
    // Whoever a fault that went wrong leaves would be in the way of the next one.
    onTestFailed(() => endOthers(controller.api, bystander.id))
    const given = await inject({ controller, bystander, replace }, () => {
      madeAt = performance.now()
    })
    const milliseconds = Math.round(performance.now() - madeAt)
    expect(given).toBe(code)

    // Nothing is left of whoever met the fault, and nobody else has noticed.
    const now = await tracesOf(place)
    const leftovers = await leftBy(controller, bystander, atFirst, now)
    const { status, browser_vm_id } = await controller.api.session(bystander.id)
    const isAsBefore =
      status === 'ready' &&
      browser_vm_id === bystander.browser_vm_id &&
      now.processes.join() === atFirst.processes.join()
    const row = { id, fault, code, milliseconds, leftovers, affected: isAsBefore ? 0 : 1, note: standIn }
    rows.set(fault, row)
    expect(row).toMatchObject({ leftovers: 0, affected: 0 })
  })
}

/** Of anybody but the bystander: rows, directories, and what the host has of this controller's. */
async function leftBy(
  { api, home }: ControllerProcess,
  bystander: Session,
  before: Traces,
  now: Traces,
): Promise<number> {
  const rows = (await api.machines()).filter(({ session_id }) => session_id !== bystander.id)
  const directories = (await readdir(join(home, 'machines'))).filter((id) => id !== bystander.browser_vm_id)
  const more = [...now.namespaces, ...now.links].filter(
    (name) => !before.namespaces.includes(name) && !before.links.includes(name),
  )
  return rows.length + directories.length + more.length
}

/** What a request was refused with. */
export function refusal(answer: Answer): ErrorCode {
  expect(answer.status).toBeGreaterThanOrEqual(400)
  expect(answer.status).not.toBe(500)
  return problem.parse(answer.body).code
}

/** The answer to a request for a session, of somebody else each time. */
export const askForSession = ({ controller }: Stage): Promise<Answer> =>
  controller.api.call('POST', '/v1/sessions', { body: { provider: 'demo-site', subject: newToken() } })

/** How a session ended. */
export async function endOf(stage: Stage, id: string): Promise<ErrorCode | null> {
  return (await stage.controller.api.ended(id)).failure?.code ?? null
}

/** Cancels them and waits until nothing is left of them; gives the codes with which they ended. */
export async function endAll(api: Api, ids: readonly string[]): Promise<(ErrorCode | null)[]> {
  for (const id of ids) await api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
  return await Promise.all(ids.map(async (id) => (await api.ended(id)).failure?.code ?? null))
}

/** null: it was cancelled because it was asked to, and for no other reason. */
export async function endAsAsked(api: Api, id: string): Promise<ErrorCode | null> {
  const [code = null] = await endAll(api, [id])
  return code === 'session_cancelled' ? null : code
}

/** null: another sign-in comes as far as the login. */
export async function livesAndIsCancelled({ controller: { api } }: Stage): Promise<ErrorCode | null> {
  const { id } = await api.createSession('demo-site', 'ada')
  await api.until(id, 'live', ({ status }) => status === 'ready')
  return await endAsAsked(api, id)
}

/** What the page does with a link. */
export function enter(api: Api, hostedUrl: string): Promise<Answer> {
  const { pathname, hash } = new URL(hostedUrl)
  const body = { secret: new URLSearchParams(hash.slice(1)).get('entry') }
  return api.call('POST', `/v1/sessions/${pathname.split('/').at(-1)}/entry`, { body, key: null })
}

async function endOthers(api: Api, bystanderId: string): Promise<void> {
  const { items } = (await api.call('GET', '/v1/sessions?limit=100')).body as { items: Session[] }
  await endAll(
    api,
    items.filter(({ id, status }) => id !== bystanderId && status !== 'ended').map(({ id }) => id),
  )
}
