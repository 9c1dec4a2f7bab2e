/** The HTTP edge over the real modules and a real server; only machines do not exist. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, type Log, newId, newToken, silentLog, systemClock } from '@anteroom/base'
import {
  type Capacity,
  defaultProjectId,
  type KeyScope,
  type PoolStatus,
  type Problem,
  type ProviderDefinition,
} from '@anteroom/contract'
import { CompactEncrypt, importJWK } from 'jose'
import { sql } from 'kysely'
import { testAudit } from '../../../test/test-audit.ts'
import { createAccess } from '../../access/access.ts'
import { secretHash } from '../../access/secret-hash.ts'
import { type Config, configSchema } from '../../config.ts'
import { createConnections } from '../../connections/connections.ts'
import { createEgress } from '../../egress/egress.ts'
import { createEvents } from '../../events/events.ts'
import { createEvidence } from '../../evidence/evidence.ts'
import { createLeases } from '../../leases/leases.ts'
import { createLive, type RfbEndpoint } from '../../live/live.ts'
import { openProviders } from '../../providers/providers.ts'
import { createSessions } from '../../sessions/sessions.ts'
import { openStore } from '../../store/store.ts'
import { openVault } from '../../vault/vault.ts'
import { createHttp, type HttpDeps } from '../http.ts'

const demo: ProviderDefinition = {
  kind: 'oauth2',
  name: 'demo',
  title: 'Demo identity',
  issuer: 'http://idp.demo.test',
  client_id: 'anteroom-demo',
  scopes: ['openid'],
  egress: { allow: ['idp.demo.test'] },
  capture: { tokens: true },
}

const samplePool: PoolStatus = {
  ...{ size: 'auto', floor: 1, ceiling: 4, wanted: 1, ready: 0, filling: 0 },
  reason: { code: 'insufficient_memory', detail: '100 MiB are free' },
  snapshot: { status: 'off' },
}

const sampleCapacity: Capacity = {
  ...{ max_machines: 4, running: 4, more: 0, queued: 2, max_queued: 100 },
  bound_by: { code: 'capacity_exhausted', detail: '4 machines are in use' },
}

/** Sessions are created, read and asked to end here; nothing moves them along. */
const absent = <T extends object>(name: string): T =>
  new Proxy({} as T, {
    get: (_target, property) => {
      // Asked of everything that is awaited.
      if (property === 'then') return undefined
      throw new Error(`the HTTP edge reached ${name}`)
    },
  })

export interface EdgeOptions {
  readonly clock?: Clock
  readonly log?: Log
  readonly publicUrl?: string
  readonly hostedPage?: Partial<Config['hosted_page']>
  /** Left out: any free one. */
  readonly port?: number
  readonly listen?: Partial<Config['listen']>
  readonly operators?: object
  /** Left out: anybody may have as many sessions as they like. */
  readonly maxPerSubject?: number | 'none'
  readonly overrides?: Partial<HttpDeps>
}

export type Edge = Awaited<ReturnType<typeof startEdge>>

export async function startEdge({
  clock = systemClock,
  log = silentLog,
  publicUrl,
  hostedPage = {},
  listen = {},
  operators = {},
  port = 0,
  maxPerSubject = 'none',
  overrides,
}: EdgeOptions = {}) {
  // Of an edge that does not come about nothing is left.
  await using made = new AsyncDisposableStack()
  const home = await mkdtemp(join(tmpdir(), 'anteroom-http-'))
  made.defer(() => rm(home, { recursive: true }))
  const webRoot = join(home, 'web')
  await mkdir(join(webRoot, 'assets'), { recursive: true })
  await writeFile(join(webRoot, 'index.html'), '<!doctype html><title>dashboard</title>')
  await writeFile(join(webRoot, 'connect.html'), '<!doctype html><title>connect</title>')
  await writeFile(join(webRoot, 'assets/app-0a1b.js'), 'export {}')
  const config = {
    ...configSchema.parse({
      limits: { max_queued: 10_000, max_per_subject: maxPerSubject },
      hosted_page: hostedPage,
      listen,
      operators,
      ...(publicUrl !== undefined && { public_url: publicUrl }),
    }),
    home,
  }
  const store = made.adopt(await openStore(':memory:'), (opened) => opened.close())
  const events = createEvents({ store, clock })
  const audit = testAudit({ store, clock, log })
  const access = createAccess({ store, clock, events, audit, operators: config.operators })
  const providers = made.adopt(await openProviders({ directories: [], demo: [demo], log }), (opened) => opened.close())
  const vault = await openVault({ keyFile: join(home, 'vault.key'), store, clock, audit })
  const connections = createConnections({ store, audit, vault })
  let url = ''
  let endpoint: RfbEndpoint = { ip: '127.0.0.1', port: 1, password: '' }
  const live = createLive({
    store,
    clock,
    events,
    audit,
    log,
    policy: config.live,
    publicUrl: () => url,
  })
  const sessions = createSessions({
    ...{ store, config, clock, log, live, vault, connections, providers, events, audit },
    driver: absent('driver'),
    slots: absent('slots'),
    egress: createEgress({ log, clock, store }),
    metrics: absent('metrics'),
    leases: createLeases({ store, slots: absent('slots') }),
    pool: absent('pool'),
    evidence: createEvidence({ config, clock, log }),
    measureHost: async () => absent('host'),
    readLogOf: async () => [],
    snapshots: absent('snapshots'),
    images: { current: async () => absent('image'), get: () => absent('image'), collect: () => absent('image') },
    publicUrl: () => url,
    agentOf: () => absent('agent'),
    rfbOf: () => endpoint,
  })
  const http = await createHttp({
    ...{ sessions, connections, vault, providers, live, events, audit, access, log, clock, config, webRoot },
    images: { list: async () => [] },
    machines: async () => [],
    examine: async () => ({ at: new Date(clock.now()).toISOString(), verdict: 'ok', checks: [] }),
    pool: { status: async () => samplePool, capacity: async () => sampleCapacity },
    ready: async () => [],
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'anteroom_up 1\n' }),
    ...overrides,
  })
  made.defer(() => http.close())
  url = await http.listen('127.0.0.1', port)
  const all = made.move()
  const stop = (): Promise<void> => all.disposeAsync()

  /** Of the default project, unless it sees every one. */
  const key = (...scopes: KeyScope[]): Promise<string> => keyOf(defaultProjectId, ...scopes)
  const keyOf = async (projectId: string, ...scopes: KeyScope[]): Promise<string> => {
    const id = newId('key')
    const project_id = scopes.includes('operator') ? null : projectId
    const secret = `ark_${id.slice('key_'.length)}_${newToken()}`
    const row = {
      id,
      project_id,
      name: 'test',
      hash: secretHash(secret),
      scopes: JSON.stringify(scopes),
      created_at: clock.now(),
    }
    await store.db.insertInto('api_keys').values(row).execute()
    return secret
  }
  await access.ensureOperatorKey(join(home, 'operator.key'))
  const operatorKey = (await readFile(join(home, 'operator.key'), 'utf8')).trim()

  const newSession = async (projectId = defaultProjectId) => {
    const created = await sessions
      .of({ projectId })
      .create({ provider: 'demo', subject: newToken() }, { principal: 'test' })
    return { ...created, secret: created.hosted_url.split('#entry=')[1] ?? '' }
  }

  return {
    http,
    url,
    clock,
    config,
    store,
    vault,
    audit,
    /** As somebody would who has the database open beside it. */
    raw: (statement: string) => sql.raw(statement).execute(store.db),
    access,
    events,
    live,
    sessions,
    operatorKey,
    key,
    keyOf,
    newSession,
    visitorOf: async (session: { id: string; secret: string }) =>
      `anteroom_visit_${session.id}=${(await access.enter(session.id, session.secret)).cookie}`,
    operatorVisit: async () => `anteroom_operator=${await access.signIn(await access.newSignInToken(60))}`,

    /** As the reconciler would leave it once the screen is painted. */
    async makeReady(sessionId: string, rfb: RfbEndpoint): Promise<void> {
      endpoint = rfb
      const id = newId('machine')
      const image_id = `img_${'0'.repeat(24)}`
      const index = (await store.db.selectFrom('machines').selectAll().execute()).length
      await store.transaction(async (tx) => {
        const machine = { id, session_id: sessionId, image_id, slot_index: index, vm_ip: `127.0.1.${index}` }
        await tx
          .insertInto('machines')
          .values({ ...machine, slot_kind: 'user', accelerator: 'tcg', created_at: clock.now() })
          .execute()
        await tx
          .updateTable('sessions')
          .set({ status: 'ready', browser_vm_id: id, vm_ip: machine.vm_ip, vnc_url: 'vnc://machine', image_id })
          .where('id', '=', sessionId)
          .execute()
        await events.append(tx, sessionId, 'status', { status: 'ready' })
      })
      events.notify(sessionId)
    },

    /** Puts a token into the vault as the guest would. */
    async fillVault(session: { id: string; connection_id: string | null }, accessToken: string): Promise<void> {
      const sealingKey = await vault.sealingKey(session.id)
      const value = {
        ...{
          kind: 'oauth2',
          issuer: null,
          client_id: 'anteroom-demo',
          access_token: accessToken,
          token_type: 'Bearer',
        },
        ...{ refresh_token: null, id_token: null, scope: null, expires_at: null },
      }
      const captured_at = new Date(clock.now()).toISOString()
      const payload = { session_id: session.id, provider: 'demo', captured_at, value }
      const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify(payload)))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: sealingKey.kid })
        .encrypt(await importJWK({ ...sealingKey }, 'ECDH-ES'))
      await vault.store({ id: session.id, provider: 'demo', connectionId: session.connection_id ?? '' }, sealed, {
        ...{ kind: 'oauth2', tokens: ['access_token'], scopes: [], cookies: 0, origins: [] },
        ...{ local_storage: 0, session_storage: 0, indexed_db: 0 },
      })
    },

    /** A request with the operator's key, unless the headers say who is asking. */
    async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
      const anonymous = 'authorization' in headers || 'cookie' in headers || 'nobody' in headers
      return await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(!anonymous && { authorization: `Bearer ${operatorKey}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        redirect: 'manual',
      })
    },

    stop,
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  if (response.headers.get('content-type') !== 'application/problem+json')
    throw new Error(
      `${response.status} ${response.headers.get('content-type')} is not a problem: ${await response.text()}`,
    )
  return (await response.json()) as Problem
}
