/** Whatever changes something, or gives a credential out, leaves an entry that says who asked and by which request. */
import { once } from 'node:events'
import type { AuditAction, Ticket } from '@anteroom/contract'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { RouteEntry } from '../packages/controller/src/http/route-table.ts'
import { startEdge } from '../packages/controller/src/http/test/running-edge.ts'
import { shakeHands, startMachine } from '../packages/controller/src/live/live.fixture.ts'
import { freePort, startOidcIssuer } from '../packages/controller/test/oidc-issuer.ts'

const port = await freePort()
const issuer = await startOidcIssuer(`http://127.0.0.1:${port}/sign-in/answer`)
const oidc = { issuer: issuer.url, client_id: 'anteroom-public', allow: { subjects: [issuer.account.sub] } }
const edge = await startEdge({ port, operators: { oidc } })
const machine = await startMachine(async (socket) => {
  await shakeHands(socket)
})
afterAll(async () => {
  await edge.stop()
  await machine.close()
  await issuer.close()
})

interface Call {
  readonly path: string
  readonly body?: object
  readonly headers?: Record<string, string>
}

interface Sample {
  /** What at least is written. */
  readonly action: AuditAction
  readonly call: () => Promise<Call>
}

const ofSession = (what: string, body?: object) => async (): Promise<Call> => ({
  path: `/v1/sessions/${(await edge.newSession()).id}/${what}`,
  ...(body && { body }),
})

const ofReady = (what: string, body?: object) => async (): Promise<Call> => {
  const { id } = await edge.newSession()
  await edge.makeReady(id, { ip: '127.0.0.1', port: 1, password: '' })
  return { path: `/v1/sessions/${id}/${what}`, ...(body && { body }) }
}

/** Of a view that is open; the session is the key's, by whom it is asked for first. */
const ofViewer = (what: string, body: object) => async (): Promise<Call> => {
  const { id } = await edge.newSession()
  await edge.makeReady(id, machine.endpoint)
  const answer = await edge.call('POST', `/v1/sessions/${id}/tickets`, { access: 'view' })
  const { ticket, viewer_id } = (await answer.json()) as Ticket
  const socket = new WebSocket(`${edge.url.replace('http', 'ws')}/v1/sessions/${id}/live?ticket=${ticket}`, 'binary')
  await once(socket, 'message')
  socket.send(Buffer.from('RFB 003.008\n\x01\x01', 'latin1'))
  const path = `/v1/sessions/${id}/viewers`
  await vi.waitFor(async () => expect(await (await edge.call('GET', path)).json()).toMatchObject({ viewers: [{}] }))
  return { path: `${path}/${viewer_id}/${what}`, body }
}

async function connected(): Promise<string> {
  const session = await edge.newSession()
  await edge.fillVault(session, 'a token')
  return `/v1/connections/${session.connection_id}`
}

/** Its id; a bearer looks like `ark_<id>_<secret>`. */
const newKey = async (): Promise<string> => `key_${(await edge.key('sessions:read')).split('_')[1]}`

/** A call that succeeds, for each route. */
const samples: Readonly<Record<string, Sample>> = {
  'POST /v1/sessions': {
    action: 'session.created',
    call: async () => ({ path: '/v1/sessions', body: { provider: 'demo', subject: 'somebody' } }),
  },
  'POST /v1/sessions/:id/agree': { action: 'session.agreed', call: ofSession('agree') },
  'POST /v1/sessions/:id/capture': { action: 'session.capture_requested', call: ofReady('capture') },
  'POST /v1/sessions/:id/extend': { action: 'session.extended', call: ofSession('extend', { idle_only: true }) },
  'POST /v1/sessions/:id/cancel': { action: 'session.cancelled', call: ofSession('cancel') },
  'POST /v1/sessions/:id/tickets': { action: 'ticket.issued', call: ofReady('tickets', {}) },
  'DELETE /v1/sessions/:id/tickets': { action: 'ticket.revoked', call: ofSession('tickets') },
  'POST /v1/sessions/:id/viewers/:viewer_id/ask': { action: 'control.asked', call: ofViewer('ask', {}) },
  'POST /v1/sessions/:id/viewers/:viewer_id/control': {
    action: 'control.answered',
    call: ofViewer('control', { give: true }),
  },
  'POST /v1/sessions/:id/entry': {
    action: 'entry.used',
    call: async () => {
      const { id, secret } = await edge.newSession()
      return { path: `/v1/sessions/${id}/entry`, body: { secret }, headers: { nobody: '' } }
    },
  },
  'DELETE /v1/connections/:id': {
    action: 'connection.deleted',
    call: async () => ({ path: await connected() }),
  },
  'GET /v1/connections/:id/credential': {
    action: 'credential.read',
    call: async () => ({ path: `${await connected()}/credential` }),
  },
  'POST /v1/connections/:id/reauth': {
    action: 'session.created',
    call: async () => ({ path: `${await connected()}/reauth`, body: {} }),
  },
  'POST /v1/keys': {
    action: 'key.created',
    call: async () => ({ path: '/v1/keys', body: { name: 'a key', scopes: ['sessions:read'] } }),
  },
  'POST /v1/keys/:id/rotate': {
    action: 'key.rotated',
    call: async () => ({ path: `/v1/keys/${await newKey()}/rotate`, body: {} }),
  },
  'DELETE /v1/keys/:id': { action: 'key.revoked', call: async () => ({ path: `/v1/keys/${await newKey()}` }) },
  'POST /v1/projects': { action: 'project.created', call: async () => ({ path: '/v1/projects', body: { name: 'a' } }) },
  'POST /v1/vault/rotation': { action: 'vault.rotation_asked', call: async () => ({ path: '/v1/vault/rotation' }) },
  'POST /v1/doctor': { action: 'host.repaired', call: async () => ({ path: '/v1/doctor', body: { fix: true } }) },
  'GET /v1/audit/export': { action: 'audit.exported', call: async () => ({ path: '/v1/audit/export' }) },
  'POST /v1/operator/sign-in': {
    action: 'operator.signed_in',
    call: async () => ({
      path: '/v1/operator/sign-in',
      body: { token: await edge.access.newSignInToken(60) },
      headers: { nobody: '' },
    }),
  },
  'POST /v1/operator/oidc/answer': {
    action: 'operator.signed_in',
    call: async () => {
      const begun = await edge.call('POST', '/v1/operator/oidc', {}, { nobody: '' })
      const { location } = (await begun.json()) as { location: string }
      const { searchParams } = await issuer.follow(location)
      const cookie = begun.headers.get('set-cookie')?.split(';')[0] ?? ''
      return { path: '/v1/operator/oidc/answer', body: Object.fromEntries(searchParams), headers: { cookie } }
    },
  },
  'POST /v1/operator/sign-out': {
    action: 'operator.signed_out',
    call: async () => ({
      path: '/v1/operator/sign-out',
      headers: { cookie: await edge.operatorVisit(), 'x-anteroom-request': '1' },
    }),
  },
}

/** A sign-in that begins changes nothing here. */
const mustBeAudited = ({ method, url }: RouteEntry): boolean =>
  (method !== 'GET' || /credential|export/.test(url)) && url !== '/v1/operator/oidc'
const audited = edge.http.routes.entries.filter(mustBeAudited).map(({ method, url }) => `${method} ${url}`)

test('every route that changes something, or gives a credential out, has a call here', () => {
  expect(
    audited.toSorted(),
    'write an entry in what the route does (ARCHITECTURE.md, The audit), and a call that succeeds here',
  ).toEqual(Object.keys(samples).toSorted())
})

describe.each(audited)('%s', (name) => {
  test('writes an entry that says who, by which request and from where', async () => {
    const sample = samples[name]
    if (!sample) throw new Error(`${name} has no call`)
    const { path, body, headers } = await sample.call()
    const [before] = await newest(1)
    const answer = await edge.call(name.split(' ')[0] ?? '', path, body, headers)
    expect(answer.status).toBeLessThan(300)
    const written = (await newest(10)).filter(({ seq }) => seq > (before?.seq ?? 0))
    expect(written.map(({ action }) => action)).toContain(sample.action)
    for (const entry of written) {
      expect(entry.request_id).toBe(answer.headers.get('x-request-id'))
      expect(entry.client_address).toBe('127.0.0.1')
      expect(entry.actor_kind).not.toBe('controller')
      // A public route is asked by nobody, until what it is given has been found right.
      if (!headers) expect(entry).toMatchObject({ actor_kind: 'key', actor_id: expect.stringMatching(/^key_/) })
    }
    expect(await edge.audit.verify()).toMatchObject({ verdict: 'whole' })
  })
})

const newest = (count: number) =>
  edge.store.db.selectFrom('audit').selectAll().orderBy('seq', 'desc').limit(count).execute()

test('a credential whose reading cannot be written down is not given out', async () => {
  const path = `${await connected()}/credential`
  await edge.store.db.schema.alterTable('audit_head').renameTo('audit_head_gone').execute()
  const answer = await edge.call('GET', path)
  await edge.store.db.schema.alterTable('audit_head_gone').renameTo('audit_head').execute()
  expect(answer.status).toBeGreaterThanOrEqual(500)
  expect(await answer.text()).not.toContain('a token')
})

test('what is refused before it is done leaves no entry of having been done', async () => {
  const [before] = await newest(1)
  const { id } = await edge.newSession()
  const [created] = await newest(1)
  expect(created?.seq).toBe((before?.seq ?? 0) + 1)
  expect((await edge.call('POST', `/v1/sessions/${id}/capture`)).status).toBe(409)
  expect(await newest(1)).toEqual([created])
})
