import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Scope } from '@anteroom/base'
import { type Session, session as sessionSchema } from '@anteroom/contract'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { instanceOf, machinesOn, tracesOf } from '../harness/traces.ts'
import type { InstrumentedModules } from './instrumented-modules.ts'
import { type Site, serveSite } from './site.ts'
import { codesOfDeath, type Told } from './stories.ts'

const slotsAhead = 1
/** Everything must have come right by then, from the moment when the next controller says that it is ready. */
const patienceMs = 10_000
/** The same where the first page was on its way: its browser loads it once more, which takes seconds where that is emulated. */
const pagePatienceMs = 30_000

/** What was found after a restart. */
export interface Finding {
  readonly recoveryMs: number
  readonly leaks: readonly string[]
  readonly lies: readonly string[]
  readonly stuck: readonly string[]
  /** Ended by the crash, and said so: their first page was on its way through the controller when that died. */
  readonly lost: readonly string[]
}

/**
 * One state directory with a controller that is killed again and again, a warm pool of one, and somebody in the middle of a
 * sign-in who must not notice anything.
 */
export class CrashWorld {
  controller: ControllerProcess
  readonly site: Site
  readonly #bystander: Session
  readonly #instance: string
  readonly #bystandersProcess: number
  /** What the state directory holds when nothing goes on. */
  #files: ReadonlySet<string> = new Set()

  private constructor(controller: ControllerProcess, site: Site, bystander: Session, instance: string, pid: number) {
    this.controller = controller
    this.site = site
    this.#bystander = bystander
    this.#instance = instance
    this.#bystandersProcess = pid
  }

  static async open(name: string, modules: InstrumentedModules): Promise<CrashWorld> {
    // Ended where the world does not come about: nobody else would.
    await using made = new AsyncDisposableStack()
    const site = made.adopt(await serveSite(), (served) => served.close())
    const settings = {
      ...{ providers_dir: site.definitions, demo: 'off' as const },
      pool: { size: 1, slots_ahead: slotsAhead },
      timeouts: { session_seconds: 7200, max_session_seconds: 7200 },
    }
    const controller = made.adopt(
      await startControllerProcess(name, settings, { node: modules.nodeArguments }),
      (started) => started.remove(),
    )
    const { id } = await controller.api.createSession(site.provider, 'bystander')
    const bystander = await controller.api.until(id, 'at its page', () => site.shown() > 0)
    const machine = bystander.browser_vm_id ?? ''
    const instance = await instanceOf(machine)
    const place = { id: machine, ip: bystander.vm_ip ?? '', home: controller.home, instance }
    const [pid = 0] = (await tracesOf(place)).processes
    const world = new CrashWorld(controller, site, bystander, instance, pid)
    await controller.api.poolReady(1)
    const left = await world.#comesToRest()
    if (left.length > 0) throw new Error(`before any crash: ${left.join('; ')}`)
    world.#files = new Set(await world.#ownFiles())
    made.move()
    return world
  }

  async killMachine(id: string): Promise<void> {
    const { pid } = (await machinesOn(this.#instance)).find((machine) => machine.id === id) ?? {}
    if (pid === undefined) throw new Error(`${id} has no process`)
    process.kill(pid, 'SIGKILL')
  }

  async killWaitingMachine(): Promise<void> {
    const [machine] = await this.controller.api.poolReady(1)
    await this.killMachine(machine?.id ?? '')
  }

  /** Starts the next controller, and waits until it says that it is ready. */
  async restart(): Promise<void> {
    this.controller = await this.controller.crash()
  }

  /** After the death of a controller: starts the next one and looks whether everything comes right. */
  async recover(told: Told): Promise<Finding> {
    const startedAt = performance.now()
    await this.restart()
    const readyAt = performance.now()
    const stuck: string[] = []
    const lies: string[] = []
    const lost: string[] = []
    const sessions = await this.#settled(told, readyAt + (told.wasOpening ? pagePatienceMs : patienceMs))
    const recoveryMs = Math.round(performance.now() - startedAt)
    for (const session of sessions) {
      if (!isSettled(session, told)) stuck.push(`${session.id} is ${session.status} after ${recoveryMs} ms`)
      if (isLost(session, told)) lost.push(`${session.id} ${session.failure?.code}`)
      lies.push(...(await this.#liesOf(session, told)))
    }
    for (const { id, status } of sessions) {
      if (status === 'ended') continue
      await this.controller.api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
      const session = await this.#hasEnded(id)
      if (session === undefined) stuck.push(`${id} does not end after it was cancelled`)
      else lies.push(...(await this.#liesOf(session, told)))
    }
    lies.push(...(await this.#liesOfBystander()))
    return { recoveryMs, lies, stuck, lost, leaks: await this.#comesToRest() }
  }

  /** What is left after everything has ended; nothing, as soon as it is nothing. */
  async #comesToRest(): Promise<string[]> {
    let left: string[] = []
    await Scope.root('crash')
      .run({ name: 'rest', deadlineMs: patienceMs * 2 }, (scope) =>
        scope.until(async () => {
          left = await this.#leftovers()
          return left.length === 0 || undefined
        }, 50),
      )
      .catch(() => undefined)
    return left
  }

  async #settled(told: Told, until: number): Promise<Session[]> {
    const look = async (): Promise<Session[]> =>
      (await Promise.all(told.subjects.map((one) => this.#ofSubject(one)))).flat()
    for (;;) {
      const sessions = await look()
      if (sessions.every((session) => isSettled(session, told)) || performance.now() > until) return sessions
      await Scope.root('crash').clock.delay(25, new AbortController().signal)
    }
  }

  async #ofSubject(subject: string): Promise<Session[]> {
    const { body } = await this.controller.api.call('GET', `/v1/sessions?subject=${encodeURIComponent(subject)}`)
    return (body as { items: unknown[] }).items.map((item) => sessionSchema.parse(item))
  }

  async #hasEnded(id: string): Promise<Session | undefined> {
    return await this.controller.api
      .until(id, 'ended', ({ status }) => status === 'ended', patienceMs)
      .catch(() => undefined)
  }

  /** What the session says that is not so. */
  async #liesOf(session: Session, told: Told): Promise<string[]> {
    const { id, status, outcome, failure, browser_vm_id } = session
    const said = `${id} ${status} ${outcome} ${failure?.code ?? ''} ${failure?.detail ?? ''}`
    const isStored =
      (await this.controller.api.call('GET', `/v1/connections/${session.connection_id}/credential`)).status === 200
    const lies: [boolean, string][] = [
      [outcome === 'completed' ? !isStored : status === 'ended' && isStored, 'outcome and vault disagree'],
      [outcome === 'failed' && !isLost(session, told) && !isDead(session, told), 'nothing had failed'],
      [outcome === 'expired', 'its time is not over'],
      [status === 'ended' && (failure === null) !== (outcome === 'completed'), 'failure and outcome disagree'],
      [status === 'ended' && session.stages.some(({ duration_ms }) => duration_ms === null), 'a stage is not over'],
      [isPromiseBroken(session, told), `it was said to be ${told.promised.get(id)}`],
    ]
    if (['vm_created', 'ready', 'capturing'].includes(status)) {
      const fields = [browser_vm_id, session.vm_ip, session.vnc_url, session.image_id]
      const runs = (await machinesOn(this.#instance)).some((machine) => machine.id === browser_vm_id)
      lies.push(
        [fields.includes(null), 'its machine is not named'],
        [!runs && !told.killed.has(id), 'its machine does not run'],
      )
    }
    return lies.filter(([isSo]) => isSo).map(([, lie]) => `${said}: ${lie}`)
  }

  async #liesOfBystander(): Promise<string[]> {
    const { id, status, browser_vm_id } = await this.controller.api.session(this.#bystander.id)
    const machine = (await machinesOn(this.#instance)).find((one) => one.id === this.#bystander.browser_vm_id)
    const isAsBefore =
      status === 'ready' && browser_vm_id === this.#bystander.browser_vm_id && machine?.pid === this.#bystandersProcess
    return isAsBefore ? [] : [`the bystander ${id} is ${status} on ${browser_vm_id}, process ${machine?.pid}`]
  }

  /** What is on the host or in the state directory besides the bystander's machine, the one that waits, and a slot ahead. */
  async #leftovers(): Promise<string[]> {
    const { api, home } = this.controller
    const leases = await api.machines()
    const waiting = leases.filter(({ session_id }) => session_id === null)
    const expected = leases.map(({ id }) => id).toSorted()
    const [running, directories] = [await machinesOn(this.#instance), await namesIn(join(home, 'machines'))]
    const named = async (directory: string) =>
      (await namesIn(directory)).filter((name) => name.includes(this.#instance))
    const [namespaces, links] = [await named('/run/netns'), await named('/sys/class/net')]
    const slots = expected.length + slotsAhead
    const differences: [string, unknown, unknown][] = [
      [
        'leases',
        leases.filter(({ session_id }) => session_id !== null).map(({ session_id }) => session_id),
        [this.#bystander.id],
      ],
      ['machines that wait', waiting.map(({ ready_at }) => ready_at !== null), [true]],
      ['addresses', new Set(leases.map(({ vm_ip }) => vm_ip)).size, leases.length],
      ['processes', running.map(({ id }) => id).toSorted(), expected],
      ['directories of machines', directories, expected],
      ['namespaces', namespaces.length, slots],
      ['links', links.length, slots],
      ['files', (await this.#ownFiles()).filter((file) => this.#files.size > 0 && !this.#files.has(file)), []],
      ['rows', this.#rowsLeft(), { keys: 1, stages: 1 }],
    ]
    return differences
      .filter(([, is, should]) => JSON.stringify(is) !== JSON.stringify(should))
      .map(([what, is, should]) => `${what}: ${JSON.stringify(is)} instead of ${JSON.stringify(should)}`)
  }

  /** Of the bystander there is one of each. */
  #rowsLeft(): unknown {
    using database = new DatabaseSync(join(this.controller.home, 'anteroom.sqlite'), { readOnly: true })
    return database
      .prepare(
        'select (select count(*) from sealing_keys) as keys, (select count(*) from stages where ended_at is null) as stages',
      )
      .get()
  }

  /** What is of one machine or one session alone is left out where its name says that it is whole. */
  async #ownFiles(): Promise<string[]> {
    const { home } = this.controller
    const entries = await readdir(home, { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(home, join(entry.parentPath, entry.name)))
      .filter((file) => !/^(machines\/|evidence\/(ses|vm)_\w+\/|logs\/|images|snapshots|anteroom\.sqlite)/.test(file))
  }

  async close(): Promise<void> {
    await this.controller.remove()
    await this.site.close()
  }
}

/** A page that was on its way must not be lost with whoever fetched it: its machine loads it again when somebody is there who does. */
const isLost = ({ failure }: Session, told: Told): boolean => told.wasOpening && failure?.code === 'egress_unreachable'

const isDead = ({ id, failure }: Session, told: Told): boolean =>
  told.killed.has(id) && failure !== null && codesOfDeath.includes(failure.code)

/** Live and usable, or over; what was handed over is not waited with. */
const isSettled = ({ id, status }: Session, told: Told): boolean =>
  status === 'ended' || (status === 'ready' && !told.promised.has(id) && !told.killed.has(id))

/** Whatever is asked, a session may have been completed before; nothing else may come instead of what was said. */
function isPromiseBroken({ id, status, outcome, failure }: Session, told: Told): boolean {
  const promised = told.promised.get(id)
  if (promised === undefined || status !== 'ended' || isLost({ failure } as Session, told)) return false
  return outcome !== promised && outcome !== 'completed'
}

const namesIn = (directory: string): Promise<string[]> =>
  readdir(directory).then(
    (names) => names.toSorted(),
    () => [],
  )
