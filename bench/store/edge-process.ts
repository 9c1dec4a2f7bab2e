/**
 * `node bench/store/edge-process.ts DIR`: the controller's HTTP edge over its real store, events and reconciler, in a process of its
 * own, so that whoever measures it does not share its event loop. Hosts, machines and guests are in memory.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLog, systemClock } from '@anteroom/base'
import { keyScopes } from '@anteroom/contract'
import { createAccess } from '../../packages/controller/src/access/access.ts'
import { configSchema } from '../../packages/controller/src/config.ts'
import { createConnections } from '../../packages/controller/src/connections/connections.ts'
import { createHttp } from '../../packages/controller/src/http/http.ts'
import { createLive } from '../../packages/controller/src/live/live.ts'
import { openProviders } from '../../packages/controller/src/providers/providers.ts'
import { SessionWorld } from '../../packages/controller/test/session-world.ts'
import { answerParent } from '../child.ts'
import type { EdgeAnswer, EdgeRequest } from './edge.ts'

/** Each may send 6000 requests a minute. */
const keyCount = 10

const world = await SessionWorld.open({ home: process.argv[2] ?? '' })
const { store, deps } = world
const { clock, events, vault, audit } = deps

const webRoot = join(world.home, 'web')
await mkdir(webRoot, { recursive: true })
await writeFile(join(webRoot, 'index.html'), '<!doctype html><title>bench</title>')

const access = createAccess({ store, clock, events, audit })
const providers = await openProviders({ directories: [], demo: [deps.providers.get('idp')], log: silentLog })
let url = ''
const http = await createHttp({
  ...{ sessions: world.sessions, vault, providers, events, audit, access, clock, webRoot },
  connections: createConnections({ store, audit, vault }),
  live: createLive({
    store,
    clock,
    events,
    audit,
    log: silentLog,
    policy: configSchema.parse({}).live,
    publicUrl: () => url,
  }),
  log: silentLog,
  config: deps.config,
  images: { list: async () => [] },
  machines: async () => [],
  examine: async () => ({ at: new Date(clock.now()).toISOString(), verdict: 'ok', checks: [] }),
  pool: world.pool,
  ready: async () => [],
  metrics: async () => ({ contentType: 'text/plain', body: '' }),
})
url = await http.listen('127.0.0.1', 0)

/** Keys for several clients. */
async function newKeys(): Promise<string[]> {
  const names = Array.from({ length: keyCount }, (_, n) => `client ${n}`)
  const made = names.map((name) =>
    access.keys.create(
      { name, scopes: [...keyScopes] },
      { kind: 'key', id: '', hash: '', scopes: keyScopes, projectId: null },
    ),
  )
  return (await Promise.all(made)).map(({ secret }) => secret.expose())
}

/** One event of each session, in one transaction. Gives the moment of the commit. */
async function append(sessionIds: readonly string[]): Promise<number> {
  await store.transaction(async (tx) => {
    for (const id of sessionIds) await events.append(tx, id, 'stage', { name: 'bench' })
  })
  const committedAt = systemClock.monotonic() + performance.timeOrigin
  for (const id of sessionIds) events.notify(id)
  return committedAt
}

async function answer(request: EdgeRequest): Promise<EdgeAnswer> {
  if (request.kind === 'append') return { kind: 'committed', at: await append(request.sessionIds) }
  const { user, system } = process.cpuUsage()
  return { kind: 'usage', cpuMs: (user + system) / 1000 }
}

answerParent({ kind: 'listening', url, keys: await newKeys() } satisfies EdgeAnswer, answer)
