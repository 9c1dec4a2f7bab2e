import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { silentLog } from '@anteroom/base'
import { type AgentOpen, agentPort, agentProtocol, claimPort } from '@anteroom/contract'
import { CompactEncrypt, importJWK } from 'jose'
import { createAgentLink, machineSecrets } from '../../packages/controller/src/agent/agent.ts'
import { sampleSummary, sampleTokens } from '../../packages/controller/test/sample-credential.ts'
import { FakeSlots, SessionWorld } from '../../packages/controller/test/session-world.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'

/** Of this process alone: the ports are the contract's. */
const ipOf = (world: number, index: number): string =>
  `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 256}.${20 + 2 * world + index}`
let worlds = 0
/** Longer than any honest answer may be, and no more than a kernel's buffers beyond. */
const mostTakenMiB = 64
const sessionSeconds = 5

type Behaviour = Partial<
  Record<
    'hello' | 'open' | 'status' | 'capture' | 'log' | 'wipe',
    (guest: EvilGuest, response: ServerResponse) => unknown
  >
>

/** A guest agent on real sockets, honest but for what `behaviour` says. */
class EvilGuest {
  opened: AgentOpen | undefined
  asked = 0
  sentMiB = 0
  /** Where `/v1/status` comes from, as honest agents count it. */
  version = 0
  readonly #http: Server
  readonly #claimd: TcpServer

  private constructor(behaviour: Behaviour) {
    this.#http = createServer((request, response) => void this.#answer(behaviour, request, response))
    this.#claimd = createTcpServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.end('ok\n'))
    })
  }

  static async start(ip: string, behaviour: Behaviour): Promise<EvilGuest> {
    const guest = new EvilGuest(behaviour)
    await once(guest.#http.listen(agentPort, ip), 'listening')
    await once(guest.#claimd.listen(claimPort, ip), 'listening')
    return guest
  }

  json(response: ServerResponse, body: unknown, status = 200): void {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

  async sealed(session_id: string, { sealing_key, provider } = this.#open()): Promise<string> {
    const payload = { session_id, provider: provider.name, captured_at: new Date().toISOString(), value: sampleTokens }
    return await new CompactEncrypt(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: sealing_key.kid })
      .encrypt(await importJWK({ ...sealing_key }, 'ECDH-ES'))
  }

  /** A gigabyte, as fast as it is taken. */
  flood(response: ServerResponse, start = ''): void {
    const chunk = Buffer.alloc(2 ** 20, 'a')
    response.writeHead(200, { 'content-type': 'application/json' }).write(start)
    const more = (): void => {
      if (response.destroyed || this.sentMiB >= 1024) return void response.end()
      this.sentMiB++
      if (response.write(chunk)) setImmediate(more)
      else response.once('drain', more)
    }
    more()
  }

  /** A right answer, of which one byte comes now and the next much later. */
  drip(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' }).write('{')
    const timer = setInterval(() => response.write(' '), 200)
    response.once('close', () => clearInterval(timer))
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections()
    this.#http.close()
    this.#claimd.close()
  }

  #open(): AgentOpen {
    if (!this.opened) throw new Error('nothing was opened')
    return this.opened
  }

  async #answer(behaviour: Behaviour, request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked++
    const path = (request.url ?? '').split('?')[0] ?? ''
    const body = await request.toArray()
    if (path === '/v1/open') this.opened = JSON.parse(Buffer.concat(body as Buffer[]).toString()) as AgentOpen
    const name = path.slice('/v1/'.length) as keyof Behaviour
    const act = behaviour[name]
    if (act) return void (await act(this, response))
    if (name === 'hello') return this.json(response, hello)
    if (name === 'open') return this.json(response, {}, 202)
    if (name === 'status') return this.json(response, signedIn(++this.version))
    response.writeHead(204).end()
  }
}

const hello = {
  ...{ agent: 'anteroom', protocol: agentProtocol, version: '0', claimed: true },
  ...{ display: 'up', browser: 'up' },
}
const status = { display: 'up', browser: 'up', failure: null }
const signedIn = (version: number) => ({ ...status, version, phase: 'signed_in' })
const waiting = (version: number) => ({ ...status, version, phase: 'waiting' })

/**
 * A session whose guest behaves so, beside one whose guest is honest. The honest one must complete while the other is at it; the other
 * must end by itself, with a code, and hand nothing over.
 */
async function beside(
  tally: Tally,
  variant: string,
  make: (honest: () => string) => Behaviour,
  floods = false,
): Promise<void> {
  const number = worlds++
  const slots = Object.assign(new FakeSlots(), {
    at: (index: number) => ({ kind: 'user', index, ip: ipOf(number, index), vmmUid: null }) as const,
  })
  const world = await SessionWorld.open({ maxMachines: 2, slots, timeouts: { session_seconds: sessionSeconds } })
  let honest = ''
  const guest = await EvilGuest.start(
    ipOf(number, 0),
    make(() => honest),
  )
  const { agentOf, vault } = world.deps
  const link = (ip: string, id: string) =>
    createAgentLink({ ip, secrets: machineSecrets((label) => vault.deriveKey(label), id), log: silentLog })
  Object.assign(world.deps, {
    agentOf: (lease: Parameters<typeof agentOf>[0]) =>
      lease.vm_ip === ipOf(number, 0) ? link(lease.vm_ip, lease.id) : agentOf(lease),
  })
  try {
    const evil = await world.create('evil')
    await world.reaches(evil, 'starting', 'vm_created', 'ready', 'capturing', 'ending', 'ended')
    honest = await world.create('honest')
    await world.reaches(honest, 'ready')
    await (await world.guestOf(honest)).personSignsIn()
    await world.reaches(honest, 'ended')
    await world.reaches(evil, 'ended')
    const [ended, neighbour] = [await world.sessions.get(evil), await world.sessions.get(honest)]
    const { length: handedOver } = await world.store.db
      .selectFrom('credentials')
      .select('id')
      .where('session_id', '=', evil)
      .execute()
    if (floods && guest.sentMiB === 0) throw new Error(`${variant}: nothing was sent`)
    await tally.try(variant, async () => {
      if (neighbour.outcome !== 'completed') return `the neighbour ended as ${neighbour.outcome}`
      if (ended.outcome === 'completed' || ended.failure === null) return `it ended as ${ended.outcome}`
      if (handedOver > 0) return 'something is in the vault'
      if (guest.sentMiB > mostTakenMiB) return `${guest.sentMiB} MiB were taken`
      // Ten a second at the most, whatever it answers, and what an honest session asks besides.
      if (guest.asked > sessionSeconds * 10 + 50) return `it was asked ${guest.asked} times`
      return undefined
    })
  } finally {
    await guest.stop()
    await world.close()
  }
}

const capture = (sealed: (guest: EvilGuest, honest: string) => Promise<string> | string) => (honest: () => string) => ({
  capture: async (guest: EvilGuest, response: ServerResponse) =>
    guest.json(response, { sealed: await sealed(guest, honest()), summary: sampleSummary }),
})

attemptTable('malicious-guest', [
  {
    id: 'A6',
    attempt:
      'a guest hands over what is not its own: sealed for another session, to another key, an old capture, no capture at all',
    refusal: '`capture_invalid`; nothing is in the vault, and the session beside it completes',
    async run(tally) {
      await beside(
        tally,
        'says it is of the session beside it',
        capture((guest, honest) => guest.sealed(honest)),
      )
      await beside(
        tally,
        'says it is of no session',
        capture((guest) => guest.sealed(`ses_${'a'.repeat(24)}`)),
      )
      let old = ''
      await beside(
        tally,
        'sealed to a key of its own',
        capture(async (guest) => {
          if (!guest.opened) return ''
          const sealing_key = { ...guest.opened.sealing_key, x: Buffer.alloc(32, 9).toString('base64url') }
          old = await guest.sealed(guest.opened.session_id, { ...guest.opened, sealing_key })
          return old
        }),
      )
      await beside(
        tally,
        'what an earlier session was given',
        capture(() => old),
      )
      await beside(
        tally,
        'no JWE',
        capture(() => 'a.b.c.d.e'),
      )
    },
  },
  {
    id: 'A6',
    attempt: 'a guest floods the controller: a gigabyte as capture, as state, as log; states that change all the time',
    refusal: 'cut off at the bound; ends with a code or by its limit, and the session beside it completes',
    async run(tally) {
      const flood = (start: string) => (guest: EvilGuest, response: ServerResponse) => guest.flood(response, start)
      await Promise.all([
        beside(tally, 'capture of 1 GB', () => ({ capture: flood('{"sealed":"') }), true),
        beside(tally, 'state of 1 GB', () => ({ status: flood('{"version":1,"x":"') }), true),
        beside(
          tally,
          'log of 1 GB',
          () => ({ log: flood('a line\n'), capture: (guest, response) => guest.json(response, {}) }),
          true,
        ),
        beside(tally, 'a new state at each question', () => ({
          status: (guest, response) => guest.json(response, waiting(++guest.version)),
        })),
      ])
    },
  },
  {
    id: 'A6',
    attempt: 'a guest answers slowly or never: to the question after its state',
    refusal: 'ends by its limit; the session beside it completes meanwhile',
    async run(tally) {
      const drip = (guest: EvilGuest, response: ServerResponse) => guest.drip(response)
      await Promise.all([
        beside(tally, 'its state, byte by byte', () => ({ status: drip })),
        beside(tally, 'nothing at all', () => ({ status: () => {} })),
      ])
    },
  },
])
