import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, newId, newToken, Scope, systemClock } from '@anteroom/base'
import { afterEach, expect, test } from 'vitest'
import { sampleTokens } from '../test/sample-credential.ts'
import { SessionWorld } from '../test/session-world.ts'
import { createAccess } from './access/access.ts'
import { machineSecrets } from './agent/agent.ts'
import { configSchema } from './config.ts'
import { createConnections } from './connections/connections.ts'
import { createHttp } from './http/http.ts'
import { createLive } from './live/live.ts'
import { createLog, logDirectory, openLogFiles } from './observe/observe.ts'

let world: SessionWorld
const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
  await world.close()
})

/** The edge over sessions whose machines do not exist, with a log as the program has it, to which nothing is too small. */
async function open() {
  const shown: string[] = []
  const keep: { files?: { write(line: string): void } } = {}
  const log = createLog({
    ...{ level: 'debug', pretty: false, destination: { write: (line: string) => void shown.push(line) } },
    files: { write: (line: string) => keep.files?.write(line) },
  })
  world = await SessionWorld.open({ log })
  const { store, config } = world.deps
  keep.files = openLogFiles({ directory: logDirectory(world.home), limits: config.log, clock: systemClock })
  let url = ''
  const events = world.deps.events
  const access = createAccess({ store, clock: systemClock, events, audit: world.deps.audit })
  const live = createLive({
    ...{ store, clock: systemClock, events, log, policy: configSchema.parse({}).live },
    audit: world.deps.audit,
    publicUrl: () => url,
  })
  const http = await createHttp({
    ...{ ...world.deps, sessions: world.sessions, access, live, webRoot: world.home },
    providers: { list: () => [], problems: () => [] },
    images: { list: async () => [] },
    machines: async () => [],
    examine: () => Promise.reject(new AppError('internal')),
    ready: async () => [],
    metrics: world.deps.metrics.render,
    connections: createConnections({ store, audit: world.deps.audit, vault: world.deps.vault }),
  })
  stops.push(() => http.close())
  url = await http.listen('127.0.0.1', 0)
  const keyFile = join(world.home, 'operator.key')
  await access.ensureOperatorKey(keyFile)
  const key = (await readFile(keyFile, 'utf8')).trim()
  const call = async (method: string, path: string, body: object = {}, headers: object = {}): Promise<unknown> => {
    const asked = {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    }
    const answer = await fetch(url + path, method === 'GET' ? asked : { ...asked, body: JSON.stringify(body) })
    return await answer.json().catch(() => null)
  }
  return { call, key, shown, access }
}

/** Every file below, as text. */
async function textsIn(directory: string): Promise<Map<string, string>> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name))
  return new Map(await Promise.all(paths.map(async (path) => [path, await readFile(path, 'latin1')] as const)))
}

test('no secret is in any line of the log, in evidence, in a diagnosis or in what is gathered of a session', async () => {
  const { call, key, shown, access } = await open()
  const secrets: Record<string, string> = {
    key,
    token: newToken(),
    refresh: newToken(),
    cookie: newToken(),
    signIn: await access.newSignInToken(60),
  }
  const create = async (subject: string): Promise<string> => {
    const created = (await call('POST', '/v1/sessions', { provider: 'idp', subject })) as {
      id: string
      hosted_url: string
    }
    secrets[`entry of ${subject}`] = created.hosted_url.split('#entry=')[1] ?? ''
    return created.id
  }

  const completed = await create('who completes')
  await world.reaches(completed, 'ready')
  await call('POST', `/v1/sessions/${completed}/entry`, { secret: secrets['entry of who completes'] })
  await call('POST', `/v1/sessions/${completed}/entry`, { secret: secrets['entry of who completes'] })
  const { ticket = '' } = (await call('POST', `/v1/sessions/${completed}/tickets`, { access: 'view' })) as {
    ticket?: string
  }
  secrets.ticket = ticket
  await call('GET', `/v1/sessions/${completed}/live?ticket=${ticket}`)
  await call('GET', `/v1/${ticket}?token=${secrets.token}`)
  await call('POST', '/v1/operator/sign-in', { token: secrets.signIn })
  const guest = await world.guestOf(completed)
  guest.value = { ...sampleTokens, access_token: secrets.token ?? '', refresh_token: secrets.refresh ?? '' }
  await guest.personSignsIn()
  await world.reaches(completed, 'ended')
  expect((await world.sessions.get(completed)).outcome).toBe('completed')

  const failed = await create('who fails')
  await world.reaches(failed, 'ready')
  const machine = (await world.sessions.get(failed)).browser_vm_id ?? ''
  world.host.kill(machine, { vmm: 'terminating on signal 9' })
  await world.reaches(failed, 'ended')
  for (const id of [machine, (await world.sessions.get(completed)).browser_vm_id ?? '']) {
    const { agent, rfb } = machineSecrets((label) => world.deps.vault.deriveKey(label), id)
    Object.assign(secrets, { [`agent of ${id}`]: agent, [`screen of ${id}`]: rfb })
  }
  // What goes wrong inside is logged with all that is known of it.
  const made = (await call('POST', '/v1/keys', { name: 'a', scopes: ['operator'] })) as { id: string; secret: string }
  const turned = (await call('POST', `/v1/keys/${made.id}/rotate`)) as { secret: string }
  Object.assign(secrets, { 'key that was made': made.secret, 'key that was rotated': turned.secret })
  await call('GET', '/v1/keys', {}, { authorization: `Bearer ${made.secret}` })
  const bad = `${key.slice(0, -1)}x`
  secrets['key of nobody'] = bad
  await call('GET', `/v1/sessions/${failed}`, {}, { authorization: `Bearer ${bad}` })
  await call('GET', '/v1/doctor', {}, { cookie: `anteroom_operator=${secrets.cookie}` })

  const answers = await Promise.all(
    [completed, failed].flatMap((id) => ['diagnosis', 'logs'].map((what) => call('GET', `/v1/sessions/${id}/${what}`))),
  )
  const places = new Map([
    ...(await textsIn(logDirectory(world.home))),
    ...(await textsIn(join(world.home, 'evidence'))),
    ['standard output', shown.join('')],
    ['answers', JSON.stringify(answers)],
  ])
  expect(places.size).toBeGreaterThan(6)
  expect(Object.values(secrets).every((secret) => secret.length >= 8)).toBe(true)
  const hits = [...places].flatMap(([place, text]) =>
    Object.entries(secrets).flatMap(([name, secret]) => (text.includes(secret) ? [`${name} in ${place}`] : [])),
  )
  expect(hits).toEqual([])
})

test('every line about a session says which, and those of a request which request', async () => {
  const { call, shown } = await open()
  const { id } = (await call('POST', '/v1/sessions', { provider: 'idp', subject: newId('event') })) as { id: string }
  await world.reaches(id, 'ready')
  const machine = (await world.sessions.get(id)).browser_vm_id
  await call('POST', `/v1/sessions/${id}/cancel`)
  await world.reaches(id, 'ended')
  const lines = shown.map((line) => JSON.parse(line))
  const ofIt = lines.filter(({ session }) => session === id)
  expect(ofIt.filter(({ msg }) => msg === 'answered').map(({ method, status }) => [method, status])).toEqual([
    ['POST', 201],
    ['POST', 200],
  ])
  for (const { request } of ofIt.filter(({ msg }) => msg === 'answered')) expect(request).toMatch(/^req_[a-z2-7]{24}$/)
  const states = ofIt.filter(({ msg }) => /^session is/.test(msg))
  expect(states.map(({ msg }) => msg)).toEqual(
    ['starting', 'vm_created', 'ready', 'ending', 'ended'].map((status) => `session is ${status}`),
  )
  expect(states.every((line) => line.machine === machine)).toBe(true)
  expect(states.at(-1)).toMatchObject({ outcome: 'cancelled', code: 'session_cancelled' })
  const mentions = lines.filter((line) => JSON.stringify(line).includes(machine ?? id))
  expect(mentions.every((line) => line.machine === machine)).toBe(true)
  const { lines: gathered } = await world.sessions.logs(id, Scope.root('test'))
  expect(gathered.length).toBeGreaterThan(ofIt.length)
})
