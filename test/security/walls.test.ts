import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { Scope, silentLog } from '@anteroom/base'
import { agentPort, claimPort, rfbPort } from '@anteroom/contract'
import { afterAll, beforeAll } from 'vitest'
import { configSchema } from '../../packages/controller/src/config.ts'
import { type Firewall, instanceTag, openFirewall, type Slot } from '../../packages/controller/src/host/host.ts'
import { openTapSlots } from '../../packages/controller/src/host/tap-slots.ts'
import { startEdge } from '../../packages/controller/src/http/test/running-edge.ts'
import { containerOn } from '../../packages/controller/test/container.ts'
import { dialAs, SlotGuest, type Target } from '../../packages/controller/test/slot-guest.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'

const scope = Scope.root('walls')
/** RFC 2544 keeps 198.18.0.0/15 for tests of networks. */
const net = `198.19.${process.pid & 255}`
const userNet = `127.220.${process.pid & 255}`
const network = configSchema.parse({ network: { pool: `${net}.0/28`, user_pool: `${userNet}.0/28` } }).network
const [tapHome, userHome] = ['/nowhere/walls-tap', '/nowhere/walls-user']
const tag = instanceTag(tapHome)
const slots = openTapSlots({ tag, pool: network.pool })
const machinePorts = [agentPort, claimPort, rfbPort]
const userMachine = `${userNet}.1`
/** Users of this host: somebody, and the monitors of another machine. */
const others = [65_534, 1_000, 58_007]

let one: Slot
let other: Slot
let guest: SlotGuest
let otherGuest: SlotGuest
let edge: Awaited<ReturnType<typeof startEdge>>
const servers: Server[] = []
const firewalls: Firewall[] = []

async function serverOn(host: string, port = 0): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).end('host\n'))
  servers.push(server)
  await once(server.listen(port, host), 'listening')
  return (server.address() as { port: number }).port
}

beforeAll(async () => {
  ;[one, other] = [slots.at(0), slots.at(1)]
  for (const slot of [one, other]) await slots.prepare(slot, scope)
  guest = await SlotGuest.on(one, tag)
  otherGuest = await SlotGuest.on(other, tag)
  for (const each of [guest, otherGuest]) await each.listen(machinePorts)
  for (const port of machinePorts) await serverOn(userMachine, port)
  const parts = { log: silentLog, onRestored: () => {} }
  firewalls.push(openFirewall({ network, home: tapHome }, { kind: 'tap' }, parts))
  firewalls.push(openFirewall({ network, home: userHome }, { kind: 'user' }, parts))
  for (const firewall of firewalls)
    if (!(await firewall.ensure(scope)).inForce) throw new Error('there is no firewall to try')
  edge = await startEdge()
  // Whoever may connect gets through: what is refused below is refused by a wall, and not because nobody listens.
  for (const target of [...portsOf(one.ip), ...portsOf(other.ip), ...portsOf(userMachine)])
    if ((await dialAs(0, target)) !== 'connected') throw new Error(`${target.ip}:${target.port} does not listen`)
})
afterAll(async () => {
  await edge.stop()
  for (const firewall of firewalls) await firewall.remove(scope)
  for (const server of servers) server.close()
  for (const each of [guest, otherGuest]) await each.close()
  for (const slot of [one, other]) await slots.remove(slot, scope)
})

const portsOf = (ip: string): Target[] => machinePorts.map((port) => ({ ip, port }))

/** What a machine is not to reach, by kind. */
async function forbidden(): Promise<Record<string, Target[]>> {
  const hostPort = await serverOn('0.0.0.0')
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const addresses = own.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address)
  const api = Number(new URL(edge.url).port)
  return {
    'another machine': portsOf(other.ip),
    'the other machine’s end of its link': portsOf(`${net}.5`),
    'ports of the host, on each of its addresses': [...new Set([`${net}.1`, ...addresses])].flatMap((ip) => [
      { ip, port: hostPort },
      { ip, port: 22 },
    ]),
    'the controller’s API': [`${net}.1`, '172.16.0.1', ...addresses].map((ip) => ({ ip, port: api })),
    'its own slot’s address': portsOf(one.ip),
    'its peer in the namespace': [22, 53, 80, ...machinePorts].map((port) => ({ ip: '172.16.0.1', port })),
    'link-local metadata': ['169.254.169.254', '169.254.170.2', '168.63.129.16', '100.100.100.200'].map((ip) => ({
      ip,
      port: 80,
    })),
    'private ranges': ['10.0.0.1', '172.17.0.1', '192.168.0.1', '192.168.1.1', '100.64.0.1'].map((ip) => ({
      ip,
      port: 80,
    })),
    'name servers and the internet': ['1.1.1.1', '8.8.8.8', '9.9.9.9'].flatMap((ip) =>
      [53, 443].map((port) => ({ ip, port })),
    ),
  }
}

type Dial = (targets: readonly Target[]) => Promise<string[]>

async function tryAll(tally: Tally, dial: Dial, targets: Record<string, readonly Target[]>): Promise<void> {
  const all = Object.entries(targets).flatMap(([kind, list]) => list.map((target) => ({ kind, target })))
  const found = await dial(all.map(({ target }) => target))
  for (const [n, { kind, target }] of all.entries())
    await tally.try(kind, async () =>
      found[n] === 'connected' ? `${target.ip}:${target.port}${target.from ? ` from ${target.from}` : ''}` : undefined,
    )
}

attemptTable('walls', [
  {
    id: 'A4',
    attempt:
      'from inside a machine, as its root, to another machine, the host, the API, metadata, private ranges, the internet',
    refusal: 'no answer: nothing that a machine begins leaves its namespace',
    async run(tally) {
      // The guest's programs can dial: its own ports answer.
      if ((await guest.dial([{ ip: '127.0.0.1', port: agentPort }]))[0] !== 'connected')
        throw new Error('it cannot dial')
      await tryAll(tally, (targets) => guest.dial(targets), await forbidden())
    },
  },
  {
    id: 'A4',
    attempt:
      'the same under another address: the host’s, its own on the host, another machine’s, a neighbour’s, a public one',
    refusal: 'no answer: an address in a packet opens nothing',
    async run(tally) {
      const targets = await forbidden()
      for (const from of [`${net}.1`, one.ip, other.ip, '172.16.0.3', '8.8.8.8']) {
        await using _ = await guest.take(from)
        // What it has taken is its own meanwhile: connecting there says nothing of anybody else.
        const spoofed = Object.entries(targets).map(([kind, list]) => {
          const elsewhere = list.filter(({ ip }) => ip !== from).map((target) => ({ ...target, from }))
          return [`${kind}, from ${from}`, elsewhere] as const
        })
        await tryAll(tally, (all) => guest.dial(all), Object.fromEntries(spoofed))
      }
    },
  },
  {
    id: 'A4',
    attempt: 'a guest that took its monitor over, in the slot’s own namespace',
    refusal: 'refused: the namespace lets nothing out that the host did not ask for',
    async run(tally) {
      const { 'its own slot’s address': _, 'its peer in the namespace': __, ...targets } = await forbidden()
      await tryAll(tally, (all) => guest.dialFromMonitor(all), targets)
    },
  },
  {
    id: 'A4',
    attempt: 'a guest that took its monitor over on a user slot, which is a process on the host’s network',
    refusal: 'refused: users of monitors answer and open nothing',
    async run(tally) {
      const api = Number(new URL(edge.url).port)
      const targets = [...portsOf(userMachine), ...portsOf(one.ip), { ip: '127.0.0.1', port: api }]
      for (const uid of [58_000, 58_999])
        for (const target of targets)
          await tally.try(`user ${uid} to ${target.ip}`, async () =>
            (await dialAs(uid, target)) === 'connected' ? `${target.ip}:${target.port}` : undefined,
          )
    },
  },
  {
    id: 'A5',
    attempt: 'a process of another user of the host connects to a machine’s agent, claim or screen port',
    refusal: 'refused by the firewall, by the owner of the socket',
    async run(tally) {
      for (const [kind, ip] of [
        ['tap', one.ip],
        ['user', userMachine],
      ] as const)
        for (const uid of others)
          for (const target of portsOf(ip))
            await tally.try(`${kind} slot, user ${uid}`, async () =>
              (await dialAs(uid, target)) === 'connected' ? `port ${target.port}` : undefined,
            )
    },
  },
  {
    id: 'A5',
    attempt: 'a container that this host forwards and translates for connects to a machine’s ports',
    refusal: 'refused: nothing is forwarded to a slot',
    async run(tally) {
      const link = { network: `${net}.64`, host: `${net}.65`, own: `${net}.66` }
      await using container = await containerOn({ tag, slot: one, ...link })
      for (const target of portsOf(one.ip))
        await tally.try(`port ${target.port}`, async () =>
          (await container.dial(target)) === 'connected' ? `port ${target.port}` : undefined,
        )
    },
  },
])
