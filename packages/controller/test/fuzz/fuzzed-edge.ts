import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Log, newId, newToken } from '@anteroom/base'
import { defaultProjectId } from '@anteroom/contract'
import { type Access, createAccess } from '../../src/access/access.ts'
import { configSchema } from '../../src/config.ts'
import { createConnections } from '../../src/connections/connections.ts'
import { createHttp } from '../../src/http/http.ts'
import { createLive } from '../../src/live/live.ts'
import { SessionWorld } from '../session-world.ts'
import type { ApiDocument } from './api-operations.ts'

export type FuzzedEdge = Awaited<ReturnType<typeof startFuzzedEdge>>

/** The HTTP edge on a socket, over sessions that go their way on machines in memory; and some that have gone it already. */
export async function startFuzzedEdge(log: Log) {
  const world = await SessionWorld.open({ maxMachines: 3 })
  const { store, events, audit, clock, vault, providers, config } = world.deps
  const webRoot = join(world.home, 'web')
  await mkdir(join(webRoot, 'assets'), { recursive: true })
  await writeFile(join(webRoot, 'index.html'), '<!doctype html><title>a page</title>')
  await writeFile(join(webRoot, 'assets/app-0a1b.js'), 'export {}')
  const access = createAccess({ store, clock, events, audit })
  const keyFile = join(world.home, 'operator.key')
  await access.ensureOperatorKey(keyFile)
  let url = ''
  const http = await createHttp({
    ...{ access, events, audit, clock, vault, log, webRoot, sessions: world.sessions, pool: world.pool },
    connections: createConnections({ store, audit, vault }),
    // A reverse proxy is believed, so that every request comes from an address of its own and none is too many.
    config: { ...config, public_url: 'https://anteroom.test' },
    live: createLive({ store, clock, events, audit, log, policy: configSchema.parse({}).live, publicUrl: () => url }),
    providers: { ...providers, list: () => [], problems: () => [] },
    images: { list: async () => [] },
    machines: async () => [],
    examine: async () => ({ at: new Date(clock.now()).toISOString(), verdict: 'ok', checks: [] }),
    ready: async () => [],
    metrics: () => world.deps.metrics.render(),
  })
  url = await http.listen('127.0.0.1', 0)
  return {
    world,
    port: Number(new URL(url).port),
    key: (await readFile(keyFile, 'utf8')).trim(),
    operatorCookie: `anteroom_operator=${await access.signIn(await access.newSignInToken(3600))}`,
    ids: { ...(await inhabit(world)), keys: await someKeys(access), projects: [defaultProjectId, newId('project')] },
    document: http.app.swagger() as unknown as ApiDocument,
    async stop() {
      await http.close()
      await world.close()
    },
  }
}

/** One session of every kind there is, and ids of nothing. */
async function inhabit(world: SessionWorld) {
  const completed = await world.create(newToken())
  await world.reaches(completed, 'ready')
  await (await world.guestOf(completed)).personSignsIn()
  await world.reaches(completed, 'ended')
  const cancelled = await world.create(newToken())
  await world.sessions.requestEnd(cancelled, 'cancelled')
  const others = [await world.create('a'), await world.create('b'), await world.create('c'), await world.create('d')]
  await world.reaches(others[0] ?? '', 'ready')
  const sessions = [completed, cancelled, ...others]
  const connections = await Promise.all(
    sessions.map(async (id) => (await world.sessions.get(id)).connection_id ?? newId('connection')),
  )
  return {
    sessions: [...sessions, newId('session')],
    connections: [...connections, newId('connection')],
  }
}

/** One of each kind: one that can be changed, the operator's, one that was revoked, and an id of nothing. */
async function someKeys({ keys }: Access): Promise<string[]> {
  const by = { kind: 'operator', cookie: 'c' } as const
  const make = async (name: string) => (await keys.create({ name, scopes: ['sessions:read'] }, by)).key.id
  const revoked = await make('revoked')
  await keys.revoke(revoked)
  const operators = (await keys.list({ limit: 100 })).items.filter(({ in_file }) => in_file)
  return [await make('one'), await make('another'), ...operators.map(({ id }) => id), revoked, newId('key')]
}
