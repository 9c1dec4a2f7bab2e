import { createHash, hkdfSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { Scope, silentLog } from '@anteroom/base'
import {
  type AgentHello,
  type AgentOpen,
  type AgentStatus,
  agentPort,
  agentProtocol,
  claimPort,
  maxSealedBytes,
} from '@anteroom/contract'
import { obfuscateRfbPassword } from '@anteroom/rfb'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { sampleSummary } from '../../test/sample-credential.ts'
import { createAgentLink, machineSecrets } from './agent.ts'

// An address of its own: the port is the contract's.
const ip = `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 256}.7`
const machineId = `vm_${'a'.repeat(24)}`
const secrets = machineSecrets((label) => Buffer.alloc(32, label.length), machineId)
const scope = Scope.root('test')
const link = createAgentLink({ ip, secrets, log: silentLog })

const hello: AgentHello = {
  agent: 'anteroom',
  protocol: agentProtocol,
  version: '0.1.0',
  claimed: false,
  display: 'up',
  browser: 'up',
}
const status: AgentStatus = { version: 3, phase: 'waiting', display: 'up', browser: 'up', failure: null }
const summary = sampleSummary
const open: AgentOpen = {
  session_id: `ses_${'b'.repeat(24)}`,
  provider: {
    name: 'demo',
    title: 'Demo',
    kind: 'website',
    start_url: 'https://app.example.com',
    egress: { allow: ['app.example.com'] },
    capture: { cookies: [], storage: [] },
  },
  sealing_key: { kty: 'OKP', crv: 'X25519', x: 'x', kid: 'k' },
}

let server: { close(): unknown } | undefined
afterEach(async () => {
  server?.close()
  server = undefined
})

type Handle = (request: IncomingMessage, response: ServerResponse) => unknown

async function agentThat(handle: Handle): Promise<Server> {
  const started = createServer((request, response) => void handle(request, response))
  await once(started.listen(agentPort, ip), 'listening')
  server = {
    close() {
      started.closeAllConnections()
      started.close()
    },
  }
  return started
}

const json =
  (content: unknown, code = 200): Handle =>
  (_request, response) =>
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(content))

/** A server below HTTP. */
async function tcpThat(handle: (socket: Socket) => void, port = agentPort): Promise<void> {
  const sockets = new Set<Socket>()
  const started = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    handle(socket)
  })
  await once(started.listen(port, ip), 'listening')
  server = {
    close() {
      for (const socket of sockets) socket.destroy()
      started.close()
    },
  }
}

const flood: Handle = (request, response) => {
  response.writeHead(200)
  const more = (): void => {
    while (!response.destroyed && response.write('"'.repeat(65_536)));
  }
  response.on('drain', more)
  more()
  return request
}

/** As large as a capture may be, and never more than its beginning and its end of use. */
const nestedFor =
  (beginning: string, filling = '[', code = 200): Handle =>
  (_request, response) =>
    response.writeHead(code).end(beginning + filling.repeat(maxSealedBytes / filling.length))

const shortly = <T>(work: (scope: Scope) => Promise<T>): Promise<T> =>
  scope.run({ name: 'short', deadlineMs: 200 }, work)

describe('a well-behaved agent', () => {
  test('is asked as the contract says', async () => {
    const seen: { call: string; authorization: string | undefined; body: string }[] = []
    await agentThat(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const call = `${request.method} ${request.url}`
      seen.push({ call, authorization: request.headers.authorization, body })
      if (call === 'GET /v1/hello') return json(hello)(request, response)
      if (call.startsWith('GET /v1/status')) return json(status)(request, response)
      if (call === 'POST /v1/capture') return json({ sealed: 'a.b.c.d.e', summary })(request, response)
      if (call === 'GET /v1/log') return response.end('line \u001b[31m1\r\nline 2')
      response.writeHead(call === 'POST /v1/open' ? 202 : 204).end()
    })
    expect(await link.hello(scope)).toEqual(hello)
    await link.open(open, scope)
    expect(await link.status(2, 500, scope)).toEqual(status)
    await link.signedIn(scope)
    expect(await link.capture(scope)).toEqual({ sealed: 'a.b.c.d.e', summary })
    await link.wipe(scope)
    expect(await link.log(scope)).toBe('line  [31m1 \nline 2')
    const [first, ...rest] = seen
    expect(first?.authorization).toBeUndefined()
    expect(new Set(rest.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${secrets.agent}`]))
    expect(rest[1]?.call).toBe('GET /v1/status?after=2&wait_ms=500')
    expect(JSON.parse(rest[0]?.body ?? '')).toEqual(open)
  })

  test('is claimed by a line, with other entropy each time', async () => {
    const lines: string[] = []
    await tcpThat((socket) => {
      socket.on('data', (line) => {
        lines.push(String(line))
        socket.end('ok\n')
      })
    }, claimPort)
    for (let n = 0; n < 3; n++) await link.claim({ machine_id: machineId }, scope)
    const digest = createHash('sha256').update(secrets.agent).digest('hex')
    const password = obfuscateRfbPassword(secrets.rfb).toString('hex')
    const entropies = lines.map((line) => {
      const [word, id, secret, rfb, seconds, , entropy] = line.split(/[ \n]/)
      expect([word, id, secret, rfb]).toEqual(['claim', machineId, digest, password])
      expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(60)
      return entropy
    })
    expect(new Set(entropies).size).toBe(3)
    for (const entropy of entropies) expect(entropy).toMatch(/^[0-9a-f]{128}$/)
  })

  test('takes the largest capture', async () => {
    const sealed = 'x'.repeat(maxSealedBytes)
    await agentThat(json({ sealed, summary }))
    expect((await link.capture(scope)).sealed).toHaveLength(maxSealedBytes)
  })

  test('upgrades: what it said at once is not lost, and the connection outlives the scope', async () => {
    const agent = await agentThat(() => {})
    agent.on('upgrade', (request, socket: Socket) => {
      expect(request.headers).toMatchObject({ upgrade: 'anteroom-egress', authorization: `Bearer ${secrets.agent}` })
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: anteroom-egress\r\n\r\nfirst ')
      socket.pipe(socket)
    })
    const root = Scope.root('one call')
    const connection = await link.egress(root)
    root.cancel()
    connection.write('second')
    let heard = ''
    for await (const chunk of connection) {
      heard += chunk
      if (heard.length >= 12) break
    }
    expect(heard).toBe('first second')
  })
})

describe('before there is an agent', () => {
  test('hello is undefined: nothing listens', async () => {
    expect(await link.hello(scope)).toBeUndefined()
  })

  test.each([
    ['closes at once', (socket: Socket) => socket.destroy()],
    ['resets', (socket: Socket) => socket.once('data', () => socket.resetAndDestroy())],
    [
      'closes in the middle of its answer',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{'),
    ],
  ])('hello is undefined: something %s', async (_what, handle) => {
    await tcpThat(handle)
    expect(await link.hello(scope)).toBeUndefined()
  })

  test('hello is undefined: not up yet', async () => {
    await agentThat(json({ code: 'internal' }, 503))
    expect(await link.hello(scope)).toBeUndefined()
  })

  test('the scope of the caller ends a hello that hangs', async () => {
    await tcpThat(() => {})
    await expect(shortly((short) => link.hello(short))).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  test('everything else says agent_unreachable, and the log is empty', async () => {
    for (const call of [
      () => link.claim({ machine_id: machineId }, scope),
      () => link.open(open, scope),
      () => link.status(0, 0, scope),
      () => link.signedIn(scope),
      () => link.capture(scope),
      () => link.wipe(scope),
      () => link.egress(scope),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'agent_unreachable' })
    expect(await link.log(scope)).toBe('')
  })
})

describe('an agent that lies or breaks', () => {
  test.each([
    ['an older protocol', json({ ...hello, protocol: 0 }), /protocol 0, this controller 2/],
    ['a newer protocol with other fields', json({ agent: 'anteroom', protocol: 3, else: true }), /protocol 3/],
    ['another program', json({ agent: 'something' }), /agent/],
    ['no JSON', ((_q, response) => response.end('<html>')) as Handle, /hello/],
    ['nested nonsense', ((_q, response) => response.end('['.repeat(60_000))) as Handle, /hello/],
    ['wrong types', json({ ...hello, claimed: 'yes' }), /claimed/],
    ['a flood', flood, /more than 65536 bytes/],
    ['an unknown call', json({ code: 'not_found' }, 404), /hello/],
  ])('hello with %s: agent_incompatible', async (_what, handle, detail) => {
    await agentThat(handle)
    await expect(link.hello(scope)).rejects.toMatchObject({
      code: 'agent_incompatible',
      detail: expect.stringMatching(detail),
    })
  })

  test('no HTTP at all: agent_incompatible', async () => {
    await tcpThat((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
    await expect(link.hello(scope)).rejects.toMatchObject({ code: 'agent_incompatible' })
  })

  test('a flood of headers is no answer', async () => {
    await tcpThat((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      const more = (): void => {
        while (!socket.destroyed && socket.write(`X: ${'x'.repeat(1000)}\r\n`));
      }
      socket.on('drain', more)
      more()
    })
    await expect(link.status(0, 0, scope)).rejects.toMatchObject({ code: 'agent_incompatible' })
  })

  test.each([
    ['wrong fields', json({ sealed: 7, summary })],
    ['too much of it', json({ sealed: 'x'.repeat(maxSealedBytes + 1), summary })],
    ['a summary of megabytes', json({ sealed: 'x', summary: { ...summary, scopes: ['y'.repeat(1_000_000)] } })],
    ['a flood', flood],
    ['no JSON', ((_q, response) => response.end('{')) as Handle],
    ['no end', ((_q, response) => response.end('{"sealed":"abc')) as Handle],
    ['an escape', json({ sealed: 'a\\b', summary })],
    ['what is sealed below the top', json({ summary, x: { sealed: 'a.b.c.d.e' } })],
    ['megabytes of brackets', nestedFor('{"sealed":"a.b.c.d.e","summary":')],
    ['megabytes of brackets before it', nestedFor('{"x":', '"sealed":"a.b.c.d.e"')],
    ['megabytes of nothing', nestedFor('{"sealed":"a.b.c.d.e"', ' ')],
  ])('a capture with %s: capture_invalid', async (_what, handle) => {
    await agentThat(handle)
    await expect(link.capture(scope)).rejects.toMatchObject({ code: 'capture_invalid' })
  })

  test.each([
    ['session_not_ready', 409, 'session_not_ready'],
    ['capture_invalid', 422, 'capture_invalid'],
    ['browser_crashed', 500, 'browser_crashed'],
    ['vault_unavailable', 503, 'agent_unreachable'],
    ['session_expired', 410, 'agent_unreachable'],
    ['unauthenticated', 401, 'agent_unreachable'],
    ['constructor', 500, 'agent_unreachable'],
    ['invalid_request', 400, 'agent_incompatible'],
    ['not_found', 404, 'agent_incompatible'],
  ])('a capture that fails with %s (%i) is %s', async (code, httpStatus, expected) => {
    await agentThat(json({ code, detail: 'words\u0007 of the guest' }, httpStatus))
    await expect(link.capture(scope)).rejects.toMatchObject({
      code: expected,
      detail: expect.stringContaining('words  of the guest'),
    })
  })

  test.each([
    ['refused\n', 'forbidden', /another secret/],
    ['error clock:\u0007not permitted\n', 'agent_unreachable', /clock: not permitted/],
    ['HTTP/1.1 204 No Content\r\n', 'agent_unreachable', /HTTP/],
    ['x'.repeat(100_000), 'agent_unreachable', /no end/],
    ['', 'agent_unreachable', /without an answer/],
  ])('a claim answered by %j', async (answer, code, detail) => {
    await tcpThat((socket) => void socket.on('data', () => socket.end(answer)), claimPort)
    await expect(link.claim({ machine_id: machineId }, scope)).rejects.toMatchObject({
      code,
      detail: expect.stringMatching(detail),
    })
  })

  test('only a failure that a guest can know is passed on', async () => {
    const failed = (code: string) => ({ ...status, phase: 'failed', failure: { code, detail: 'a\u001b[2Jb' } })
    await agentThat(json(failed('consent_denied')))
    expect((await link.status(0, 0, scope)).failure).toEqual({ code: 'consent_denied', detail: 'a [2Jb' })
    server?.close()
    await agentThat(json(failed('vault_unavailable')))
    const { failure } = await link.status(0, 0, scope)
    expect(failure).toMatchObject({ code: 'internal', detail: expect.stringContaining('vault_unavailable') })
    server?.close()
    await agentThat(json(failed('made_up')))
    await expect(link.status(0, 0, scope)).rejects.toMatchObject({ code: 'agent_incompatible' })
  })

  test('a log without end is cut', async () => {
    await agentThat(flood)
    expect((await link.log(scope)).length).toBeLessThanOrEqual(64 * 1024)
  })

  test('a status that never comes ends with the scope and leaves no connection', async () => {
    const gone = Promise.withResolvers<void>()
    await agentThat((request) => request.on('close', () => gone.resolve()))
    await expect(shortly((short) => link.status(0, 60_000, short))).rejects.toMatchObject({ code: 'deadline_exceeded' })
    await gone.promise
  })

  test('no upgrade: agent_unreachable, whatever comes instead', async () => {
    await agentThat(json({}))
    await expect(link.egress(scope)).rejects.toMatchObject({ code: 'agent_unreachable' })
    server?.close()
    await tcpThat((socket) => socket.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'))
    await expect(link.egress(scope)).rejects.toMatchObject({ code: 'agent_unreachable' })
  })

  test('an upgrade of a plain call is no answer', async () => {
    await tcpThat((socket) => socket.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'))
    await expect(link.status(0, 0, scope)).rejects.toMatchObject({ code: 'agent_unreachable' })
  })
})

test('no more than 64 KiB of a capture are parsed, however it is made', async () => {
  const parsed: number[] = []
  const parse = JSON.parse
  vi.spyOn(JSON, 'parse').mockImplementation((text: string, ...more) => {
    parsed.push(text.length)
    return parse(text, ...more)
  })
  try {
    for (const handle of [
      json({ sealed: 'x'.repeat(maxSealedBytes), summary }),
      nestedFor('{"sealed":"a.b.c.d.e","summary":'),
      nestedFor('{"code":"capture_invalid","x":', '[', 422),
      nestedFor('{"code":"capture_invalid","x":', '[],', 500),
    ]) {
      await agentThat(handle)
      await link.capture(scope).catch(() => {})
      server?.close()
    }
  } finally {
    vi.restoreAllMocks()
  }
  expect(parsed.length).toBeGreaterThan(1)
  expect(Math.max(...parsed)).toBeLessThanOrEqual(64 * 1024)
})

describe('machineSecrets', () => {
  test('differ by machine and use, have the form of the contract, and are the same again', () => {
    const deriveKey = (label: string): Buffer => Buffer.from(hkdfSync('sha256', 'vault key', '', label, 32))
    const one = machineSecrets(deriveKey, machineId)
    expect(one.agent).toMatch(/^[\w-]{43}$/)
    expect(one.rfb).toMatch(/^[\w-]{8}$/)
    expect(machineSecrets(deriveKey, machineId)).toEqual(one)
    const other = machineSecrets(deriveKey, `vm_${'c'.repeat(24)}`)
    expect(new Set([one.agent, one.rfb, other.agent, other.rfb]).size).toBe(4)
    expect(one.agent.startsWith(one.rfb)).toBe(false)
  })
})
