import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { type Log, runCommand, Scope, silentLog } from '@anteroom/base'
import { agentPort, rfbPort } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { containerOn } from '../../test/container.ts'
import { dialAs, SlotGuest } from '../../test/slot-guest.ts'
import { createFirewall, type Firewall, removeFirewall } from './firewall.ts'
import { firewallTable } from './firewall-ruleset.ts'
import { vmmUids } from './slot.ts'
import { openTapSlots } from './tap-slots.ts'

const scope = Scope.root('test')
const tag = `fw${process.pid.toString(36)}`.padEnd(6, 'x').slice(0, 6)
const table = firewallTable(tag)
const someone = 65_534
let restored = 0

const firewallOf = (kind: 'tap' | 'user', pool: string): Firewall =>
  createFirewall({ tag, kind, pool, uid: 0, log: silentLog, onRestored: () => void restored++ })
const nft = (...args: string[]) => runCommand(scope, 'nft', args)

beforeEach(() => {
  restored = 0
})
afterEach(() => removeFirewall(tag, scope))

describe('around tap slots', () => {
  const net = `198.18.${process.pid & 255}`
  const slots = openTapSlots({ tag, pool: `${net}.0/28` })
  const slot = slots.at(0)
  const firewall = firewallOf('tap', `${net}.0/28`)
  const ports = [agentPort, rfbPort].map((port) => ({ ip: slot.ip, port }))
  let guest: SlotGuest
  beforeEach(async () => {
    await slots.prepare(slot, scope)
    guest = await SlotGuest.on(slot, tag)
    await guest.listen([agentPort, rfbPort])
  })
  afterEach(async () => {
    await guest.close()
    await slots.remove(slot, scope)
  })

  test('only the user of the controller reaches the ports of a machine', async () => {
    // Without it anybody does: what refuses below is the firewall.
    expect(await Promise.all(ports.map((port) => dialAs(someone, port)))).toEqual(['connected', 'connected'])
    expect((await firewall.ensure(scope)).inForce).toBe(true)
    expect(await Promise.all(ports.map((port) => dialAs(someone, port)))).toEqual(['refused', 'refused'])
    expect(await Promise.all(ports.map((port) => dialAs(0, port)))).toEqual(['connected', 'connected'])
    expect((await firewall.look(scope)).refused).toBeGreaterThan(0)
  })

  test('a container that this host forwards for reaches nothing, translated or not', async () => {
    await using container = await containerOn({ tag, slot, network: `${net}.64`, host: `${net}.65`, own: `${net}.66` })
    const port = { ip: slot.ip, port: agentPort }
    expect(await container.dial(port)).toBe('connected')
    await firewall.ensure(scope)
    expect(await container.dial(port)).toBe('refused')
    expect((await firewall.look(scope)).refused).toBeGreaterThan(0)
  })

  test('a namespace that has lost its rules reaches no port of the host', async () => {
    const server = await listenOn('0.0.0.0')
    const hostIp = `${net}.1`
    await runCommand(scope, 'ip', ['netns', 'exec', `ar-${tag}-0`, 'nft', 'flush', 'ruleset'])
    try {
      const target = { ip: hostIp, port: portOf(server) }
      expect(await guest.dialFromMonitor([target])).toEqual(['connected'])
      await firewall.ensure(scope)
      expect(await guest.dialFromMonitor([target])).toEqual(['no answer'])
    } finally {
      server.close()
    }
  })
})

describe('around user slots', () => {
  const address = `127.219.${process.pid & 255}.3`
  const firewall = firewallOf('user', `127.219.${process.pid & 255}.0/24`)

  test('only the user of the controller reaches the ports of a machine', async () => {
    const server = await listenOn(address)
    const target = { ip: address, port: portOf(server) }
    try {
      expect(await dialAs(someone, target)).toBe('connected')
      await firewall.ensure(scope)
      expect(await dialAs(someone, target)).toBe('refused')
      expect(await dialAs(0, target)).toBe('connected')
    } finally {
      server.close()
    }
  })

  test('a monitor opens no connection to this host; others do as before', async () => {
    const server = await listenOn('127.0.0.1')
    const target = { ip: '127.0.0.1', port: portOf(server) }
    try {
      expect(await dialAs(vmmUids.first + 3, target)).toBe('connected')
      await firewall.ensure(scope)
      expect(await dialAs(vmmUids.first + 3, target)).toBe('refused')
      expect(await dialAs(vmmUids.last, target)).toBe('refused')
      expect(await dialAs(someone, target)).toBe('connected')
    } finally {
      server.close()
    }
  })

  test.each([
    ['removed', ['delete', 'table', 'inet', table]],
    ['emptied', ['flush', 'chain', 'inet', table, 'output']],
    ['softened', ['insert', 'rule', 'inet', table, 'to_machines', 'accept']],
  ])('that somebody has %s is seen, and it is set again', async (_, damage) => {
    const firewall = firewallOf('user', '127.219.0.0/24')
    expect(await firewall.ensure(scope)).toMatchObject({ inForce: true, why: null })
    expect(await firewall.ensure(scope)).toMatchObject({ inForce: true })
    expect(restored).toBe(0)
    await nft(...damage)
    expect(await firewall.look(scope)).toMatchObject({ inForce: false, why: expect.stringContaining('removed') })
    expect(await firewall.ensure(scope)).toMatchObject({ inForce: true })
    expect(restored).toBe(1)
  })

  test('where it cannot be set, it says why, once, and nothing ends for it', async () => {
    const said: unknown[] = []
    const log: Log = { ...silentLog, warn: (fields) => void said.push(fields) }
    const firewall = createFirewall({ tag, kind: 'user', pool: '(none)', uid: 0, log, onRestored: () => {} })
    for (const look of [firewall.ensure, firewall.ensure, firewall.look])
      expect(await look(scope)).toMatchObject({ inForce: false, why: expect.stringContaining('nft -f - ended with 1') })
    expect(said).toHaveLength(1)
    await firewall.remove(scope)
  })

  test('a later controller takes over what an earlier one has set; removed, nothing is left', async () => {
    await firewall.ensure(scope)
    const later = firewallOf('user', '127.219.0.0/24')
    expect(await later.ensure(scope)).toMatchObject({ inForce: true })
    expect((await nft('list', 'table', 'inet', table)).stdout).toContain('127.219.0.0/24')
    await later.remove(scope)
    await later.remove(scope)
    expect((await nft('list', 'tables')).stdout).not.toContain(tag)
  })
})

async function listenOn(address: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}).end('host\n'))
  await once(server.listen(0, address), 'listening')
  return server
}

const portOf = (server: Server): number => (server.address() as { port: number }).port
