/** For host tests: an agent with a real display and browser on this host, and the controller's end of its link. */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, request } from 'node:http'
import { performServerHandshake } from 'node:http2'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { askLine, newId, newToken, Scope } from '@anteroom/base'
import {
  type AgentCaptured,
  type AgentStatus,
  agentCaptured,
  agentStatus,
  claimLine,
  egressUpgrade,
  type ProviderDefinition,
} from '@anteroom/contract'
import { obfuscateRfbPassword, openMachine, type Screen } from '@anteroom/rfb'
import { compactDecrypt, exportJWK, generateKeyPair } from 'jose'
import { type Agent, startAgent } from '../agent.ts'
import { createAgentLog } from '../agent-log.ts'
import type { Page } from '../browser/page.ts'

export interface TestMachine {
  readonly agent: Agent
  readonly scope: Scope
  readonly rfbPort: number
  readonly personHome: string
  /** The person's keyboard and mouse. */
  hands(): Promise<Screen>
  readonly log: () => string
  call(method: string, path: string, body?: unknown): Promise<Response>
  open(provider: ProviderDefinition): Promise<void>
  untilStatus(matches: (status: AgentStatus) => boolean): Promise<AgentStatus>
  capture(): Promise<{ captured: AgentCaptured; payload: unknown }>
  /** As when the controller is gone and the next one is there. */
  renewEgress(): Promise<void>
  /** The person's tab, when it shows an address that starts so. */
  pageAt(prefix: string): Promise<Page>
  /** The person's tab at such an address, when keys go to a field or a button of it: a page has loaded a while before that. */
  formAt(prefix: string): Promise<Page>
  close(): Promise<void>
}

export async function startTestMachine(): Promise<TestMachine> {
  const home = await mkdtemp(join(tmpdir(), 'anteroom-agent-'))
  const log = createAgentLog(process.env.ANTEROOM_TEST_LOG ? (line) => process.stdout.write(line) : () => {})
  const scope = Scope.root('test', log)
  const rfbPort = await freePort()
  const agent = await startAgent(
    {
      link: { host: '127.0.0.1', port: 0, claimPort: 0 },
      proxyPort: 0,
      display: { number: freeDisplay(), width: 1280, height: 800, rfbHost: '127.0.0.1', rfbPort },
      programs: {
        display: '/usr/bin/Xtigervnc',
        windowManager: '/usr/bin/openbox',
        browser: '/usr/lib/chromium/chromium',
        claimDaemon: join(import.meta.dirname, '../../../image/recipe/rootfs/opt/anteroom/claimd'),
      },
      runDir: join(home, 'run'),
      personHome: join(home, 'person'),
      startPageFile: join(home, 'none.html'),
      // Chromium's sandbox refuses to run as root, which these tests may be.
      extraBrowserArgs: ['--no-sandbox'],
      ownsMachine: false,
    },
    log,
    scope,
  )
  const secret = newToken()
  const rfbPassword = randomBytes(6).toString('base64')
  const call = (method: string, path: string, body?: unknown): Promise<Response> =>
    fetch(`http://127.0.0.1:${agent.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const claim = claimLine({
    machine_id: newId('machine'),
    secret_digest: createHash('sha256').update(secret).digest('hex'),
    rfb_password: obfuscateRfbPassword(rfbPassword).toString('hex'),
    now_ms: Date.now(),
    entropy: randomBytes(64).toString('hex'),
  })
  const claimed = await askLine({ ip: '127.0.0.1', port: agent.claimPort }, claim, scope)
  if (claimed !== 'ok') throw new Error(`not claimed: ${claimed}`)
  let link = await attachEgress(agent.port, secret)
  const keys = await generateKeyPair('ECDH-ES', { crv: 'X25519', extractable: true })

  const untilStatus: TestMachine['untilStatus'] = async (matches) => {
    for (let after = 0; ; ) {
      const answer = await call('GET', `/v1/status?after=${after}&wait_ms=10000`)
      const status = agentStatus.parse(await answer.json())
      if (matches(status)) return status
      if (status.phase === 'failed') throw new Error(`failed: ${JSON.stringify(status)}\n${log.tail()}`)
      after = status.version
    }
  }
  const pageAt: TestMachine['pageAt'] = (prefix) =>
    scope.run({ name: `page at ${prefix}`, deadlineMs: 20_000 }, (waiting) =>
      waiting.until(() => agent.browser.pages.find(({ url, loading }) => url.startsWith(prefix) && !loading), 50),
    )
  return {
    agent,
    scope,
    rfbPort,
    personHome: join(home, 'person'),
    hands: () => openMachine({ ip: '127.0.0.1', port: rfbPort, password: rfbPassword }, scope),
    log: () => log.tail(),
    call,
    async open(provider) {
      const { x = '' } = await exportJWK(keys.publicKey)
      const sealing_key = { kty: 'OKP', crv: 'X25519', x, kid: 'test' }
      const answer = await call('POST', '/v1/open', { session_id: newId('session'), provider, sealing_key })
      if (answer.status !== 202) throw new Error(`not opened: ${await answer.text()}`)
    },
    untilStatus,
    async capture() {
      const answer = await call('POST', '/v1/capture')
      if (answer.status !== 200) throw new Error(`not captured: ${await answer.text()}\n${log.tail()}`)
      const captured = agentCaptured.parse(await answer.json())
      const { plaintext } = await compactDecrypt(captured.sealed, keys.privateKey)
      return { captured, payload: JSON.parse(new TextDecoder().decode(plaintext)) as unknown }
    },
    async renewEgress() {
      link.close()
      link = await attachEgress(agent.port, secret)
    },
    pageAt,
    formAt: (prefix) =>
      scope.run({ name: `form at ${prefix}`, deadlineMs: 20_000 }, (waiting) =>
        waiting.until(async () => {
          const page = await pageAt(prefix)
          const takesKeys = `document.hasFocus() && document.activeElement.matches('input, button')`
          // A page that is left meanwhile has no answer.
          return (await page.evaluate<boolean>(takesKeys, waiting).catch(() => false)) ? page : undefined
        }, 50),
      ),
    async close() {
      link.close()
      await agent.close()
      scope.cancel()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** What the controller does: dials the agent, and serves a proxy on the streams. Every name is this host's loopback. */
async function attachEgress(agentPort: number, secret: string): Promise<{ close(): void }> {
  const proxy = createServer((incoming, outgoing) => {
    const { port, pathname, search } = new URL(incoming.url ?? '')
    const onward = request({
      host: '127.0.0.1',
      port,
      path: pathname + search,
      method: incoming.method,
      headers: incoming.headers,
    })
    onward.on('response', (answer: IncomingMessage) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.writeHead(502).end())
    incoming.pipe(onward)
  })
  proxy.on('connect', (incoming, socket: Duplex) => {
    const onward = connect(Number(incoming.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const dial = request({
    host: '127.0.0.1',
    port: agentPort,
    path: '/v1/egress',
    headers: { connection: 'Upgrade', upgrade: egressUpgrade, authorization: `Bearer ${secret}` },
  }).end()
  return await new Promise((resolve, reject) => {
    dial.on('error', reject)
    dial.on('response', ({ statusCode }) => reject(new Error(`no upgrade: ${statusCode}`)))
    dial.on('upgrade', (_answer, socket, head) => {
      // The guest speaks first; its preface may have come together with the answer.
      if (head.length > 0) socket.unshift(head)
      const session = performServerHandshake(socket)
      session.on('stream', (stream) => {
        stream.on('error', () => {})
        stream.respond({ ':status': 200 })
        const onward = connect((proxy.address() as AddressInfo).port, '127.0.0.1')
        onward.on('error', () => stream.close())
        stream.pipe(onward).pipe(stream)
      })
      resolve({
        close() {
          session.destroy()
          proxy.close()
          proxy.closeAllConnections()
        },
      })
    })
  })
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function freeDisplay(): number {
  let number = 50
  while (existsSync(`/tmp/.X11-unix/X${number}`) || existsSync(`/tmp/.X${number}-lock`)) number += 1
  return number
}
