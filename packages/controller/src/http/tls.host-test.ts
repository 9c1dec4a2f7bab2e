import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { ManualClock, shakeHands, startMachine } from '../live/live.fixture.ts'
import { type Edge, startEdge } from './test/running-edge.ts'

let directory: string
let files: { certificate_file: string; key_file: string }
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-tls-'))
  files = await issue('first')
})
afterEach(() => rm(directory, { recursive: true }))

async function issue(name: string) {
  const [key_file, certificate_file] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)]
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
    ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    ...['-keyout', key_file, '-out', certificate_file],
  ])
  return { certificate_file, key_file }
}

async function edgeWith(options: Parameters<typeof startEdge>[0] = {}): Promise<Edge> {
  const edge = await startEdge({ listen: { tls: files }, ...options })
  onTestFinished(() => edge.stop())
  return edge
}

/** Whose certificate a new connection is shown. */
async function shown(edge: Edge): Promise<string> {
  const socket: TLSSocket = connect({ port: Number(new URL(edge.url).port), rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

async function post(edge: Edge, path: string, body: object, headers: object = {}) {
  const ca = await readFile(files.certificate_file)
  const sent = { 'content-type': 'application/json', ...headers }
  const asked = request(edge.url + path, { ca, method: 'POST', headers: sent }).end(JSON.stringify(body))
  const [response] = await once(asked, 'response')
  await response.toArray()
  return response
}

test('requests and the live view go over TLS, and cookies are of this host alone', async () => {
  const edge = await edgeWith()
  expect(edge.url).toMatch(/^https:/)
  const token = await edge.access.newSignInToken(60)
  const signedIn = await post(edge, '/v1/operator/sign-in', { token }, { origin: edge.url })
  expect(signedIn.statusCode).toBe(204)
  expect(signedIn.headers['set-cookie']?.[0]).toMatch(
    /^__Host-anteroom_operator=.*; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
  )
  const foreign = await post(edge, '/v1/operator/sign-in', { token }, { origin: edge.url.replace('https', 'http') })
  expect(foreign.statusCode).toBe(403)

  const machine = await startMachine(async (socket) => {
    await shakeHands(socket)
  })
  onTestFinished(() => machine.close())
  const { id } = await edge.newSession()
  await edge.makeReady(id, machine.endpoint)
  const ticket = await edge.live.issueTicket(id, {
    access: 'control',
    ttlSeconds: 30,
    holder: { principal: 'x', cookie: null, key: null },
  })
  const address = `${edge.url.replace('http', 'ws')}/v1/sessions/${id}/live?ticket=${ticket.ticket}`
  const socket = new WebSocket(address, 'binary', { ca: await readFile(files.certificate_file) })
  const [greeting] = await once(socket, 'message')
  expect(String(greeting)).toBe('RFB 003.008\n')
  socket.terminate()
})

test('plain http gets no answer there', async () => {
  const edge = await edgeWith()
  await expect(fetch(`${edge.url.replace('https', 'http')}/healthz`)).rejects.toThrow()
})

test('renewed files are taken within a minute; half of a pair is not', async () => {
  const clock = new ManualClock()
  const edge = await edgeWith({ clock })
  expect(await shown(edge)).toBe('first')
  const next = await issue('second')
  await cp(next.certificate_file, files.certificate_file)
  await clock.pass(61)
  expect(await shown(edge)).toBe('first')
  await cp(next.key_file, files.key_file)
  await vi.waitFor(async () => {
    await clock.pass(61)
    expect(await shown(edge)).toBe('second')
  })
})

test.each([
  ['a file that is not there', () => rm(files.key_file), /listen\.tls\.key_file: .*first\.key cannot be read/],
  [
    'a key of another certificate',
    async () => cp((await issue('other')).key_file, files.key_file),
    /no certificate and its key/,
  ],
  ['something else', () => writeFile(files.certificate_file, 'hello'), /no certificate and its key/],
])('it does not start with %s', async (_, spoil, why) => {
  await spoil()
  await expect(edgeWith()).rejects.toMatchObject({ code: 'config_invalid', detail: expect.stringMatching(why) })
})
