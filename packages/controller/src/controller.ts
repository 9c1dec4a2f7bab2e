import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, type Log, Scope, systemClock } from '@anteroom/base'
import { type DoctorReport, type Machine, type ProviderDefinition, rfbPort } from '@anteroom/contract'
import { startDemo } from '@anteroom/demo'
import { type Access, createAccess } from './access/access.ts'
import { createAgentLink, machineSecrets } from './agent/agent.ts'
import type { Audit } from './audit/audit.ts'
import type { Config } from './config.ts'
import { createConnections } from './connections/connections.ts'
import { examine } from './doctor/doctor.ts'
import { createEgress } from './egress/egress.ts'
import { createEvents } from './events/events.ts'
import { createEvidence } from './evidence/evidence.ts'
import { type Firewall, measureHost, openFirewall, openSlots, totalMemoryMiB } from './host/host.ts'
import { createHttp } from './http/http.ts'
import { openImages } from './images/images.ts'
import { createLeases, type Lease, type Leases } from './leases/leases.ts'
import { createLive } from './live/live.ts'
import { lockHome } from './lock-home.ts'
import { measureMachineWalls, openMachines } from './machines/machines.ts'
import { createMetrics, logDirectory, readLogOf } from './observe/observe.ts'
import { openVaultAndAudit } from './open-vault-and-audit.ts'
import { createPool, fitToMemory } from './pool/pool.ts'
import { openProviders, type Providers } from './providers/providers.ts'
import { createSessions } from './sessions/sessions.ts'
import { openSnapshots } from './snapshots/snapshots.ts'
import { openStoreIn, type Store } from './store/store.ts'

export interface RunningController {
  readonly url: string
  /** The operator's one-time sign-in link; where those are off, the dashboard. */
  readonly signInUrl: string
  /** Machines go on; a later controller adopts them. */
  stop(): Promise<void>
}

const signInSeconds = 3600
const webRoot = join(import.meta.dirname, '../../web/dist')

/**
 * The composition root: builds each module once, starts them in the order in which they need each other, and takes them down in
 * reverse. Resolves when it listens; `run/controller.json` follows when `/readyz` answers 200.
 * @throws AppError controller_locked, config_invalid, store_unavailable, vault_unavailable, vmm_missing, kvm_required,
 *   network_setup_failed
 */
export async function startController(config: Config, log: Log): Promise<RunningController> {
  const stack = new AsyncDisposableStack()
  try {
    return await build(config, log, stack)
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function build(configured: Config, log: Log, stack: AsyncDisposableStack): Promise<RunningController> {
  const clock = systemClock
  const { config, reduced } = fitToMemory(configured, await totalMemoryMiB())
  for (const what of reduced) log.warn({ code: 'insufficient_memory' }, what)
  const runDirectory = join(config.home, 'run')
  const lock = await lockHome(config.home)
  stack.defer(() => lock.release())
  const scope = Scope.root('controller', log)

  const store = stack.adopt(await openStoreIn(config.home), (opened) => opened.close())
  const { vault, audit } = await openVaultAndAudit(config, { store, clock, log, scope })
  const images = openImages(config.home)
  const slots = await openSlots(config, scope)
  const { driver, capabilities } = await openMachines({ config, images, slots }, scope)
  log.info(
    { vmm: capabilities.version, accelerator: capabilities.accelerator, network: slots.kind },
    capabilities.accelerationNote ?? 'machines run with KVM',
  )
  const accelerator = async (inner: Scope) => (await driver.capabilities(inner)).accelerator
  const snapshots = openSnapshots({ config, images, accelerator, log })

  let url = ''
  const publicUrl = (): string => config.public_url ?? url
  const events = createEvents({ store, clock })
  const access = createAccess({ store, clock, events, audit, operators: config.operators })
  const connections = createConnections({ store, audit, vault })
  const live = createLive({ store, clock, events, audit, log, publicUrl, policy: config.live })
  const egress = stack.adopt(createEgress({ log, clock, store }), (opened) => opened.close())
  const leases = createLeases({ store, slots })
  const providers = stack.adopt(await openWithDemo(config, log, scope, stack), (opened) => opened.close())
  const secretsOf = (lease: Lease) => machineSecrets((label) => vault.deriveKey(label), lease.id)
  const metrics = createMetrics({
    machines: async () => (await leases.all(store.db)).length,
    viewers: async () =>
      (await leases.all(store.db)).reduce((sum, { session_id }) => sum + live.viewers(session_id ?? ''), 0),
    pool: () => pool.status(),
  })
  const evidence = createEvidence({ config, clock, log })
  const firewall = openFirewall(config, slots, { log, onRestored: metrics.firewallRestored })
  await firewall.ensure(scope)
  stack.defer(() => leaveFirewall(firewall, leases, store, log))
  const made = { store, config, clock, log, driver, slots, leases, images, snapshots, metrics, evidence }
  const machineDeps = { ...made, measureHost: () => measureHost(config.home) }
  const pool = createPool({ ...machineDeps, accelerator: capabilities.accelerator })
  const shared = { store, config, clock, log, images, live, vault, connections, providers, events, audit, pool }
  const sessions = createSessions({
    ...{ ...shared, ...machineDeps, egress, publicUrl },
    readLogOf: (ids, since) => readLogOf(logDirectory(config.home), ids, since),
    agentOf: (lease) =>
      createAgentLink({
        ...{ ip: lease.vm_ip, secrets: secretsOf(lease) },
        log: log.child({ machine: lease.id, ...(lease.session_id !== null && { session: lease.session_id }) }),
      }),
    rfbOf: (lease) => ({ ip: lease.vm_ip, port: rfbPort, password: secretsOf(lease).rfb }),
  })
  const ready = (): Promise<string[]> =>
    images.current().then(
      () => [],
      (error: unknown) => [AppError.from(error).message],
    )
  const machines = (): Promise<Machine[]> => listMachines(store)
  const measureWalls = (inner: Scope) => measureMachineWalls(config, inner)
  const examineItself = ({ fix }: { readonly fix: boolean }) =>
    examine(
      {
        ...{ config, clock, images, snapshots, store, vault, audit, slots, driver, url },
        ...{ measureHost: machineDeps.measureHost, slotsAhead: pool.slotsAhead, firewall, measureWalls },
        sweep: (inner) => sessions.sweep(inner),
      },
      scope,
      { fix },
    )
  const http = stack.adopt(
    await createHttp({
      ...shared,
      sessions,
      access,
      ready,
      machines,
      examine: examineItself,
      metrics: metrics.render,
      webRoot,
    }),
    (edge) => edge.close(),
  )
  await access.ensureOperatorKey(join(config.home, 'operator.key'))
  url = await http.listen(config.listen.host, config.listen.port)
  await audit.recordAlone({ action: 'controller.started', target: { kind: 'controller', id: null } })
  const running = Promise.all([
    sessions.run(scope),
    pool.run(scope),
    snapshots.run(scope),
    firewall.guard(scope),
    egress.run(scope),
    vault.run(scope),
    keepHouse(access, scope),
    audit.run(scope),
    reportHealth(examineItself, scope),
    // By the name in its certificate, where it has one.
    announceWhenReady(join(runDirectory, 'controller.json'), config.listen.tls ? publicUrl() : url, ready, scope),
  ])
  stack.defer(async () => {
    scope.cancel(new AppError('shutting_down'))
    await running
    await sayStopped(audit, log)
  })
  return {
    url,
    signInUrl: access.takesLinks
      ? `${publicUrl()}/sign-in#token=${await access.newSignInToken(signInSeconds)}`
      : `${publicUrl()}/`,
    stop: () => stack.disposeAsync(),
  }
}

/** Machines that go on stay guarded until the next controller does it. */
async function leaveFirewall(firewall: Firewall, leases: Leases, store: Store, log: Log): Promise<void> {
  const scope = Scope.root('stop', log)
  if ((await leases.all(store.db)).length === 0) await firewall.remove(scope)
}

/** A database that does not answer keeps nobody from stopping. */
async function sayStopped(audit: Audit, log: Log): Promise<void> {
  try {
    await audit.recordAlone({ action: 'controller.stopped', target: { kind: 'controller', id: null } })
    await audit.sayCheckpoint(log)
  } catch (error) {
    log.warn({ error }, 'that the controller stopped is not in the audit')
  }
}

/** Says at the start what is not well, as the doctor would. */
async function reportHealth(
  examineItself: (how: { fix: boolean }) => Promise<DoctorReport>,
  scope: Scope,
): Promise<void> {
  try {
    const { checks } = await examineItself({ fix: false })
    for (const { name, verdict, found, remedy } of checks.filter((check) => check.verdict !== 'ok'))
      scope.log[verdict === 'failed' ? 'error' : 'warn']({ check: name, remedy }, found)
  } catch (error) {
    if (!scope.signal.aborted) scope.log.warn({ error }, 'the doctor could not look')
  }
}

/** Forgets what has expired, every ten minutes until `scope` is over. */
async function keepHouse(access: Access, scope: Scope): Promise<void> {
  while (!scope.signal.aborted) {
    await access
      .sweep(scope.clock.now())
      .catch((error: unknown) => scope.log.warn({ error }, 'expired rows stay for now'))
    await scope.clock.delay(600_000, scope.signal)
  }
}

/** The operator's definitions, and the demonstration where there are none yet (or it was asked for). */
async function openWithDemo(config: Config, log: Log, scope: Scope, stack: AsyncDisposableStack): Promise<Providers> {
  const directory = config.providers_dir ?? join(config.home, 'providers')
  const open = (demo: readonly ProviderDefinition[]): Promise<Providers> =>
    openProviders({ directories: [directory], demo, log })
  const own = await open([])
  const isWanted = config.demo === 'on' || (config.demo === 'auto' && own.list().length + own.problems().length === 0)
  if (!isWanted) return own
  own.close()
  const demo = stack.adopt(await startDemo({ log }, scope), (started) => started.close())
  return await open(demo.providers)
}

async function listMachines(store: Store): Promise<Machine[]> {
  const rows = await store.db.selectFrom('machines').selectAll().orderBy('created_at').execute()
  return rows.map(({ slot_index: _, created_at, ready_at, ...row }) => ({
    ...row,
    created_at: new Date(created_at).toISOString(),
    ready_at: ready_at === null ? null : new Date(ready_at).toISOString(),
  }))
}

/**
 * `run/controller.json` tells scripts where the controller is, from the moment when `/readyz` answers 200. Written whole or not at
 * all; gone when the controller stops.
 */
async function announceWhenReady(
  path: string,
  url: string,
  ready: () => Promise<string[]>,
  scope: Scope,
): Promise<void> {
  let said = ''
  const isReady = async (): Promise<true | undefined> => {
    const missing = (await ready()).join('; ')
    if (missing !== said && missing !== '') scope.log.error({ missing }, 'not ready: sessions cannot be started yet')
    said = missing
    return missing === '' || undefined
  }
  try {
    await scope.until(isReady, 1_000)
    await writeFile(`${path}.new`, `${JSON.stringify({ url, pid: process.pid })}\n`)
    await rename(`${path}.new`, path)
    await new Promise<void>((resolve) => scope.signal.addEventListener('abort', () => resolve()))
  } catch (error) {
    if (!scope.signal.aborted) scope.log.error({ path, error }, 'scripts cannot find this controller')
  } finally {
    await rm(path, { force: true })
  }
}
