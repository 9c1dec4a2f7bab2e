import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { newId, Scope, systemClock } from '@anteroom/base'
import { agentPort, rfbPort } from '@anteroom/contract'
import { openMachine } from '@anteroom/rfb'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { machineSecrets } from '../../../packages/controller/src/agent/agent.ts'
import { openStore, type Store } from '../../../packages/controller/src/store/store.ts'
import { openVault, type Vault } from '../../../packages/controller/src/vault/vault.ts'
import { testAudit } from '../../../packages/controller/test/test-audit.ts'
import { type ControllerProcess, startControllerProcess } from '../../harness/controller-process.ts'

const atATime = 2
const host = 'clones.test'

/** What the page in a clone has drawn, in the order of drawing. */
const drawn = z.object({
  values: z.string().length(128),
  uuids: z.array(z.uuid()).length(3),
  math: z.number(),
  now: z.number(),
})
const claimedLine = z.object({
  at: z.iso.datetime(),
  message: z.literal('claimed'),
  ...{ machine: z.string(), host_name: z.string(), os_machine_id: z.string(), boot_id: z.string() },
})

interface Clone {
  readonly drawn: z.infer<typeof drawn>
  readonly receivedAt: number
  readonly claimed: z.infer<typeof claimedLine>
  /** Of its screen and its agent: what its own secrets open, and those of the clone before it. */
  readonly doors: { readonly own: Opened; readonly other: Opened }
}

interface Opened {
  readonly agent: number
  readonly screen: boolean
}

let names: readonly string[] = []
let controller: ControllerProcess
let site: Site
let tls: TlsServer
let definitions: string
let store: Store
let vault: Vault
const found: Clone[] = []

const different = (values: readonly string[]): void => {
  expect(values.length).toBeGreaterThanOrEqual(names.length)
  expect(values.filter((value, n) => values.indexOf(value) !== n)).toEqual([])
}

/**
 * Machines restored from one golden snapshot begin as the same machine. What a page of theirs draws at random, what the browser
 * draws for TLS and what the system calls itself is compared over so many of them: docs/adr/0004-what-a-clone-renews.md.
 */
export function compareClones(count: number): void {
  names = Array.from({ length: count }, (_, n) => `clone-${n}`)
  beforeAll(async () => {
    tls = await listenForTls()
    site = await servePages(tls.port)
    definitions = await mkdtemp(join(tmpdir(), 'anteroom-clones-'))
    for (const name of names) await writeFile(join(definitions, `${name}.yaml`), definitionOf(name, site.url))
    controller = await startControllerProcess('clones', {
      providers_dir: definitions,
      pool: { size: atATime, slots_ahead: atATime },
    })
    // As the controller derives them; a second reader of the same key.
    store = await openStore(join(controller.home, 'anteroom.sqlite'))
    vault = await openVault({
      keyFile: join(controller.home, 'vault.key'),
      store,
      clock: systemClock,
      audit: testAudit({ store }),
    })
    await controller.api.poolReady(atATime)
    const waiting = [...names]
    const runAll = async (): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) found.push(await runClone(name))
    }
    await Promise.all(Array.from({ length: atATime }, runAll))
  }, 900_000)

  afterAll(async () => {
    await store?.close()
    await controller?.remove()
    site?.close()
    tls?.close()
    if (definitions) await rm(definitions, { recursive: true })
  })

  describe(`among ${names.length} clones no two`, () => {
    test('draw the same random values in a page', () => different(found.map(({ drawn }) => drawn.values)))
    test('make the same UUID', () => different(found.flatMap(({ drawn }) => drawn.uuids)))
    test('get the same Math.random', () => different(found.map(({ drawn }) => String(drawn.math))))
    test('send the same TLS client random or session id', () => {
      different(tls.hellos.map(({ random }) => random))
      different(tls.hellos.map(({ sessionId }) => sessionId))
    })
    test('have the same machine id', () => different(found.map(({ claimed }) => claimed.os_machine_id)))
    test('have the same boot id', () => different(found.map(({ claimed }) => claimed.boot_id)))
    test('have the same host name, which is that of the machine', () => {
      different(found.map(({ claimed }) => claimed.host_name))
      for (const { claimed } of found) expect(claimed.host_name).toBe(`anteroom-${claimed.machine.slice(3, 11)}`)
    })
  })

  test('its agent and its screen open to its own secrets, not to those of another clone', () => {
    for (const { doors } of found)
      expect(doors).toEqual({ own: { agent: 200, screen: true }, other: { agent: 401, screen: false } })
  })

  test('the clock of each is the time of this host', () => {
    // Not a measure of speed: a clock that was not set is years behind.
    for (const { drawn, receivedAt, claimed } of found) {
      expect(Math.abs(drawn.now - receivedAt)).toBeLessThan(60_000)
      expect(Math.abs(Date.parse(claimed.at) - receivedAt)).toBeLessThan(600_000)
    }
  })
}

/** A session whose first page draws and tells; cancelled then, which keeps the agent's log. */
async function runClone(name: string): Promise<Clone> {
  const { id } = await controller.api.createSession(name, name)
  const ended = controller.api.until(id, 'ended', ({ status }) => status === 'ended')
  const tooEarly = ended.then((session) => Promise.reject(new Error(`it ended: ${JSON.stringify(session)}`)))
  const told = await Promise.race([site.told(name), tooEarly])
  const receivedAt = Date.now()
  const { browser_vm_id, vm_ip, machine_origin } = await controller.api.session(id)
  expect(machine_origin).not.toBe('booted')
  const doors = await tryDoors(browser_vm_id ?? '', vm_ip ?? '')
  await controller.api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
  await ended
  const log = await readFile(join(controller.home, 'evidence', id, 'agent.log'), 'utf8')
  const line = log.split('\n').findLast((text) => text.includes('"claimed"'))
  return { drawn: drawn.parse(JSON.parse(told)), receivedAt, claimed: claimedLine.parse(JSON.parse(line ?? '')), doors }
}

let previousMachine = newId('machine')

async function tryDoors(machineId: string, ip: string): Promise<Clone['doors']> {
  const other = previousMachine
  previousMachine = machineId
  return { own: await tryDoor(machineId, ip), other: await tryDoor(other, ip) }
}

/** With the secrets of the machine `secretsOf`, at the address `ip`. */
async function tryDoor(secretsOf: string, ip: string): Promise<Opened> {
  const secrets = machineSecrets((label) => vault.deriveKey(label), secretsOf)
  const headers = { authorization: `Bearer ${secrets.agent}` }
  const { status } = await fetch(`http://${ip}:${agentPort}/v1/log`, { headers })
  const screen = await Scope.root('clones').run({ name: 'the screen', deadlineMs: 10_000 }, (scope) =>
    openMachine({ ip, port: rfbPort, password: secrets.rfb }, scope).then(
      () => true,
      () => false,
    ),
  )
  return { agent: status, screen }
}

// JSON is YAML as well.
const definitionOf = (name: string, url: string): string =>
  JSON.stringify({
    ...{ name, title: name, kind: 'website', start_url: `${url}/${name}`, success: { all: [{ cookie: 'never' }] } },
    egress: { allow: [host], hosts: { [host]: '127.0.0.1' } },
    capture: { cookies: [host], storage: [url] },
  })

interface Site {
  readonly url: string
  /** Resolves with what the page of that name has sent. */
  told(name: string): Promise<string>
  close(): void
}

/** The names of objects' addresses are UUIDs that the browser makes; `crypto.randomUUID` is for https pages only. */
const page = (tlsPort: number): string => `<!doctype html><title>clone</title><script>
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
const values = hex(crypto.getRandomValues(new Uint8Array(64)))
const uuids = [1, 2, 3].map(() => URL.createObjectURL(new Blob()).split('/').at(-1))
const drawn = { values, uuids, math: Math.random(), now: Date.now() }
const tell = () => fetch(location.href, { method: 'POST', body: JSON.stringify(drawn) })
fetch('https://${host}:${tlsPort}/').then(tell, tell)
</script>`

async function servePages(tlsPort: number): Promise<Site> {
  const told = new Map(names.map((name) => [`/${name}`, Promise.withResolvers<string>()]))
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return response.setHeader('content-type', 'text/html').end(page(tlsPort))
    told.get(request.url ?? '')?.resolve(await text(request))
    response.end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    told: async (name) => (await told.get(`/${name}`)?.promise) ?? '',
    close: () => server.close().closeAllConnections(),
  }
}

interface TlsServer {
  readonly port: number
  /** First messages of its clients, hex. */
  readonly hellos: { readonly random: string; readonly sessionId: string }[]
  close(): void
}

/** Reads the ClientHello (RFC 8446, section 4.1.2) behind the headers of its record and its message, and hangs up. */
async function listenForTls(): Promise<TlsServer> {
  const hellos: TlsServer['hellos'] = []
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (record: Buffer) => {
      if (record.readUInt8(0) !== 22 || record.readUInt8(5) !== 1) throw new Error('this is no ClientHello')
      const [random, sessionId] = [record.subarray(11, 43), record.subarray(44, 44 + record.readUInt8(43))]
      hellos.push({ random: random.toString('hex'), sessionId: sessionId.toString('hex') })
      socket.destroy()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { port: (server.address() as AddressInfo).port, hellos, close: () => server.close() }
}
