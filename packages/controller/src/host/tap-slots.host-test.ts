import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, Scope } from '@anteroom/base'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { configSchema } from '../config.ts'
import { instanceTag, openSlots } from './host.ts'
import { tapNames } from './tap-names.ts'
import { openTapSlots } from './tap-slots.ts'

const scope = Scope.root('test')
/** RFC 2544 keeps 198.18.0.0/15 for tests of networks; another part of it for each run. */
const net = `198.18.${process.pid & 255}`
const pool = `${net}.0/28`
let home: string
let tag: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'slots-'))
  tag = instanceTag(home)
  return () => rm(home, { recursive: true })
})

const slots = () => openTapSlots({ tag, pool })
const ip = async (...args: string[]) => (await runCommand(scope, 'ip', args)).stdout
const onHost = async (name: string) => (await ip('netns', 'list')).includes(name) || (await ip('link')).includes(name)
const config = (network: object) => ({ home, network: configSchema.parse({ network }).network })

afterEach(async () => {
  for (const index of await slots().list(scope)) await slots().remove(slots().at(index), scope)
})

describe('tap slots', () => {
  test('a prepared slot is there whole, is found complete, and is removed without a trace', async () => {
    const slot = slots().at(2)
    expect(slot).toEqual({ kind: 'tap', index: 2, ip: `${net}.10`, vmmUid: 58_002 })
    const { namespace, hostLink } = tapNames(tag, 2)
    expect(await slots().isThere(slot)).toBe(false)
    await slots().prepare(slot, scope)
    expect(await slots().isThere(slot)).toBe(true)
    expect(await slots().list(scope)).toEqual([2])
    const before = await ip('-n', namespace, '-d', 'link')
    expect(before).toContain('vnet_hdr on')
    await slots().prepare(slot, scope)
    expect(await ip('-n', namespace, '-d', 'link')).toBe(before)
    await slots().remove(slot, scope)
    expect(await onHost(hostLink)).toBe(false)
    expect(await slots().isThere(slot)).toBe(false)
    expect(await slots().list(scope)).toEqual([])
    await slots().remove(slot, scope)
  })

  test('whoever gives up while it is made takes nothing from the next one who has it', async () => {
    const table = slots()
    const slot = table.at(1)
    for (let afterMs = 0; afterMs < 80; afterMs += 4) {
      const impatient = Scope.root('impatient')
      const first = impatient.run({ name: 'start' }, (inner) => table.prepare(slot, inner))
      await scope.clock.delay(afterMs, new AbortController().signal)
      impatient.cancel()
      await first.catch(() => undefined)
      await table.remove(slot, scope)
      await table.prepare(slot, scope)
      await scope.clock.delay(50, new AbortController().signal)
      expect(await table.isThere(slot)).toBe(true)
      await table.remove(slot, scope)
    }
  })

  test('its rules let pass what the host opens to the guest, and its answers', async () => {
    await slots().prepare(slots().at(0), scope)
    const rules = await ip('netns', 'exec', tapNames(tag, 0).namespace, 'nft', '-s', 'list', 'ruleset')
    for (const hook of ['input', 'forward', 'output'])
      expect(rules).toContain(`type filter hook ${hook} priority filter; policy drop;`)
    const accepted = rules.split('\n').filter((line) => line.endsWith(' accept'))
    expect(accepted.map((line) => line.trim())).toEqual([
      `iifname "up0" oifname "tap0" ip saddr ${net}.1 ip daddr 172.16.0.2 tcp dport { 5900, 7000, 7001 } ct state established,new counter name "asked" accept`,
      'iifname "tap0" oifname "up0" ip saddr 172.16.0.2 ct state established ct direction reply accept',
    ])
  })

  test.each([
    ['its namespace only', (name: string) => ip('netns', 'add', name)],
    ['its link only', (name: string) => ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`)],
  ])('what a crash left is listed, repaired and removed: %s', async (_, leave) => {
    const { namespace } = tapNames(tag, 1)
    const slot = slots().at(1)
    await leave(namespace)
    expect(await slots().list(scope)).toEqual([1])
    await slots().prepare(slot, scope)
    expect(await ip('-n', namespace, 'addr')).toContain(slot.ip)
    await slots().remove(slot, scope)
    await leave(namespace)
    await slots().remove(slot, scope)
    expect(await onHost(namespace)).toBe(false)
  })

  test.each([
    ['rules', (ns: string) => ip('netns', 'exec', ns, 'nft', 'flush', 'ruleset')],
    ['tap', (ns: string) => ip('-n', ns, 'link', 'delete', 'tap0')],
    ['link up', (ns: string) => ip('link', 'set', ns, 'down')],
  ])('a slot that lost its %s is made again', async (_, damage) => {
    const slot = slots().at(0)
    const { namespace } = tapNames(tag, 0)
    await slots().prepare(slot, scope)
    await damage(namespace)
    await slots().prepare(slot, scope)
    expect(await ip('netns', 'exec', namespace, 'nft', 'list', 'ruleset')).toContain('policy drop')
    expect(await ip('-n', namespace, '-br', 'link')).toContain('tap0')
    expect(await ip('-br', 'link', 'show', namespace)).toContain('UP')
  })

  test('an address that another controller took meanwhile is refused, and nothing is left', async () => {
    const other = openTapSlots({ tag: 'othrct', pool })
    await other.prepare(other.at(0), scope)
    try {
      const preparing = slots().prepare(slots().at(0), scope)
      await expect(preparing).rejects.toMatchObject({
        code: 'network_setup_failed',
        detail: expect.stringContaining(tapNames('othrct', 0).hostLink),
      })
      expect(await slots().list(scope)).toEqual([])
      expect(await other.list(scope)).toEqual([0])
    } finally {
      await other.remove(other.at(0), scope)
    }
  })
})

test.each([
  ['down', (name: string) => ip('link', 'set', name, 'down')],
  ['gone', (name: string) => ip('link', 'delete', name)],
])('a glance sees that the link of a slot is %s', async (_, damage) => {
  await slots().prepare(slots().at(0), scope)
  await damage(tapNames(tag, 0).hostLink)
  expect(await slots().isThere(slots().at(0))).toBe(false)
})

describe('openSlots', () => {
  test('auto measures that tap works here and leaves nothing of the measurement', async () => {
    const opened = await openSlots(config({ kind: 'auto', pool }), scope)
    expect(opened.kind).toBe('tap')
    expect(await opened.list(scope)).toEqual([])
  })

  test('a pool that overlaps a network of the host is refused, naming both; auto falls back', async () => {
    const name = tapNames('othrct', 9).hostLink
    await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`)
    try {
      await ip('addr', 'add', `${net}.5/29`, 'dev', name)
      await ip('link', 'set', name, 'up')
      await expect(openSlots(config({ kind: 'tap', pool }), scope)).rejects.toMatchObject({
        code: 'network_setup_failed',
        detail: expect.stringMatching(`${pool} overlaps ${net}\\..* on ${name};`),
      })
      expect((await openSlots(config({ kind: 'auto', pool }), scope)).kind).toBe('user')
    } finally {
      await ip('link', 'delete', name)
    }
  })

  test('a start with user slots removes the tap slots of an earlier one', async () => {
    await slots().prepare(slots().at(3), scope)
    await openSlots(config({ kind: 'user', pool }), scope)
    expect(await slots().list(scope)).toEqual([])
  })
})
