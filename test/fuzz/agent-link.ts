import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { AppError, Scope, silentLog, systemClock } from '@anteroom/base'
import { agentPort, agentProtocol } from '@anteroom/contract'
import { createAgentLink, machineSecrets } from '../../packages/controller/src/agent/agent.ts'
import { createEgress } from '../../packages/controller/src/egress/egress.ts'
import { openStore } from '../../packages/controller/src/store/store.ts'
import { sampleSummary } from '../../packages/controller/test/sample-credential.ts'
import type { Fuzzer } from './fuzz.ts'
import type { Mutator } from './mutator.ts'

/** Everything that a guest may make of the controller's questions. */
const codes: readonly string[] = [
  ...['agent_unreachable', 'agent_incompatible', 'forbidden', 'session_over', 'session_not_ready'],
  ...['capture_invalid', 'browser_crashed', 'display_lost', 'deadline_exceeded'],
]

const answer = (status: string, body: unknown, ...headers: string[]): Buffer => {
  const text = JSON.stringify(body)
  const head = [`HTTP/1.1 ${status}`, 'Content-Type: application/json', `Content-Length: ${text.length}`, ...headers]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${text}`)
}

const answers = [
  answer('200 OK', {
    ...{ agent: 'anteroom', protocol: agentProtocol, version: '0.1.0' },
    ...{ claimed: true, display: 'up', browser: 'up' },
  }),
  answer('200 OK', { version: 3, phase: 'waiting', display: 'up', browser: 'up', failure: null }),
  answer('200 OK', {
    version: 4,
    phase: 'failed',
    display: 'up',
    browser: 'up',
    failure: { code: 'oauth_error', detail: 'x' },
  }),
  answer('200 OK', { sealed: 'a.b.c.d.e', summary: sampleSummary }),
  answer('204 No Content', ''),
  answer('202 Accepted', {}),
  answer('409 Conflict', { code: 'session_not_ready', detail: 'not yet' }),
  Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n0\r\n\r\n'),
  Buffer.from('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: anteroom-egress\r\n\r\n'),
]

/** The client's preface of HTTP/2 (RFC 9113 section 3.4), an empty SETTINGS and a HEADERS frame of nonsense. */
const http2 = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 4, 1, 4, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41]),
  Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
])

/** A guest that answers anything to anything, and frames of all kinds on its way out. */
export async function fuzzGuests(): Promise<Fuzzer> {
  const ip = `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 256}.9`
  let say: (socket: Socket) => void = () => {}
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.once('data', () => say(socket)).resume()
  })
  await once(server.listen(agentPort, ip), 'listening')
  const secrets = machineSecrets((label) => Buffer.alloc(32, label.length), 'vm_fuzz')
  const link = createAgentLink({ ip, secrets, log: silentLog })
  const store = await openStore(':memory:')
  const egress = createEgress({ log: silentLog, clock: systemClock, store, resolve: async () => [] })
  const calls = {
    hello: (scope: Scope) => link.hello(scope),
    status: (scope: Scope) => link.status(0, 0, scope),
    signedIn: (scope: Scope) => link.signedIn(scope),
    capture: (scope: Scope) => link.capture(scope),
    wipe: (scope: Scope) => link.wipe(scope),
    log: (scope: Scope) => link.log(scope),
    egress: async (scope: Scope) => (await link.egress(scope)).destroy(),
  }
  const ask = async (mutator: Mutator): Promise<void> => {
    const said = mutator.mutate(mutator.pick(answers))
    say = (socket) => {
      for (const piece of mutator.pieces(said)) socket.write(piece)
      socket.end()
    }
    const name = mutator.pick(Object.keys(calls) as (keyof typeof calls)[])
    try {
      await Scope.root('fuzz', silentLog).run(
        { name, deadlineMs: 20_000 },
        (scope): Promise<unknown> => calls[name](scope),
      )
    } catch (error) {
      if (!(error instanceof AppError) || !codes.includes(error.code)) throw error
    }
  }
  const goOut = async (mutator: Mutator): Promise<void> => {
    const [owner, toController] = [{ machine: 'vm_fuzz', session: 'ses_fuzz' }, new PassThrough()]
    egress.attach(owner, { allow: ['app.example.com'] }, toController)
    for (const piece of mutator.pieces(mutator.mutate(http2))) toController.write(piece)
    toController.end()
    egress.detach(owner.machine)
    if (egress.isAttached(owner.machine)) throw new Error('a guest holds on to its way out')
  }
  return {
    // Node 24 itself keeps some 8 KiB of each HTTP/2 session that ends by a broken frame: often, it would hide what we keep.
    round: (mutator) => (mutator.int(40) === 0 ? goOut(mutator) : ask(mutator)),
    async stop() {
      await egress.close()
      for (const socket of sockets) socket.destroy()
      server.close()
      await store.close()
    },
  }
}
