import { once } from 'node:events'
import { chmod, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { AppError, newId, systemClock } from '@anteroom/base'
import { type DoctorCheck, type DoctorCheckName, doctorChecks, doctorReport } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeSlots } from '../../test/session-world.ts'
import { testAudit } from '../../test/test-audit.ts'
import type { Config } from '../config.ts'
import { createFakeDriver, type FakeHost } from '../machines/fake/fake-driver.ts'
import { firewallOf, image, imagesOf, measurement, scope, Ward, walls } from './doctor.fixture.ts'
import { examine, type Patient } from './doctor.ts'

let ward: Ward
let home: string
let host: FakeHost
let slots: FakeSlots
let patient: Patient
beforeEach(async () => {
  ward = await Ward.open()
  ;({ home, host, slots, patient } = ward)
})
afterEach(() => ward.close())

const missing = new AppError('image_missing', { detail: 'images has no current image' })
const configured = (over: object): Config => ward.configured(over)
const check: Ward['check'] = (...asked) => ward.check(...asked)

test('a healthy host: every check of the list, all well', async () => {
  const report = doctorReport.parse(await examine(patient, scope))
  expect(report.checks.map(({ name }) => name)).toEqual([...doctorChecks])
  expect(report.checks.filter(({ verdict }) => verdict !== 'ok')).toEqual([])
  expect(report.verdict).toBe('ok')
})

type Break = () => Partial<Patient> | Promise<Partial<Patient>>

/** Each check is seen to notice what it is for. */
const breaks: readonly [DoctorCheckName, string, Break, DoctorCheck['verdict'], RegExp][] = [
  [
    'vmm',
    'is not installed',
    () => ({ config: configured({ vmm: { binary: join(home, 'none') } }) }),
    'failed',
    /none/,
  ],
  [
    'vmm',
    'is another program',
    async () => {
      await writeFile(join(home, 'other'), '#!/bin/sh\necho hello\n', { mode: 0o755 })
      return { config: configured({ vmm: { binary: join(home, 'other') } }) }
    },
    'failed',
    /answered "hello"/,
  ],
  [
    'acceleration',
    'is emulation',
    () => ({ driver: { ...createFakeDriver(host) } }),
    'warning',
    /emulated: nothing runs/,
  ],
  ['acceleration', 'cannot be measured', () => ({ driver: new AppError('kvm_required') }), 'failed', /KVM/],
  ['image', 'is missing', () => ({ images: imagesOf(() => Promise.reject(missing)) }), 'failed', /no current image/],
  [
    'image',
    'is old',
    () => {
      const old = {
        ...image,
        manifest: { ...image.manifest, built_at: new Date(Date.now() - 40 * 86_400_000).toISOString() },
      }
      return { images: imagesOf(async () => old) }
    },
    'warning',
    /40 days old/,
  ],
  [
    'snapshot',
    'is off',
    () => ({ config: configured({ vmm: { snapshots: 'off' } }) }),
    'warning',
    /every machine boots/,
  ],
  [
    'snapshot',
    'is of another configuration',
    () => ({ config: configured({ vmm: { binary: join(home, 'qemu'), memory_mib: 2048 } }) }),
    'warning',
    /there is none for img_/,
  ],
  [
    'snapshot',
    'is truncated',
    async () => {
      await truncate(join(await ward.publishSnapshot(), 'memory'), 100)
      return {}
    },
    'failed',
    /cannot be used: .*memory/,
  ],
  [
    'vmm_limits',
    'cannot be set',
    () => ({ measureWalls: async () => ({ ...walls, cgroupVersion: null, limited: [] }) }),
    'warning',
    /^memory and processors of a monitor are not limited$/,
  ],
  [
    'vmm_limits',
    'need root',
    () => ({ measureWalls: async () => ({ ...walls, ownUser: false, limited: ['memory', 'cpu'] as const }) }),
    'warning',
    /run as the controller’s user, and see its files; threads of a monitor are not limited/,
  ],
  [
    'network',
    'cannot be made',
    () => ({ slots: new AppError('network_setup_failed', { detail: 'no tun' }) }),
    'failed',
    /no tun/,
  ],
  [
    'network',
    'is shared though it need not be',
    () => ({ config: configured({ network: { kind: 'auto' } }) }),
    'warning',
    /share the host/,
  ],
  [
    'firewall',
    'cannot be set',
    () => ({ firewall: firewallOf({ inForce: false, why: 'nft is not installed', refused: 0 }) }),
    'warning',
    /other users of this host can connect .*nft is not installed/,
  ],
  [
    'addresses',
    'are too few',
    () => ({ slots: new FakeSlots('user', 2) }),
    'warning',
    /2 of 2 addresses .* may want 8/,
  ],
  [
    'memory',
    'is short',
    () => ({ measureHost: async () => ({ ...measurement, availableMemoryMiB: 2_000 }) }),
    'warning',
    /1 more fit/,
  ],
  [
    'memory',
    'is gone',
    () => ({ measureHost: async () => ({ ...measurement, availableMemoryMiB: 100 }) }),
    'failed',
    /0 more fit/,
  ],
  [
    'load',
    'is high',
    () => ({ measureHost: async () => ({ ...measurement, load: [9, 9, 9] as [number, number, number] }) }),
    'warning',
    /load 9.0/,
  ],
  [
    'disk',
    'is nearly full',
    () => ({ measureHost: async () => ({ ...measurement, freeDiskMiB: 1000 }) }),
    'warning',
    /1000 MiB/,
  ],
  ['disk', 'is full', () => ({ measureHost: async () => ({ ...measurement, freeDiskMiB: 10 }) }), 'failed', /10 MiB/],
  [
    'clock',
    'runs behind',
    () => ({ clock: { ...systemClock, now: () => Date.parse('2020-01-01') } }),
    'failed',
    /2020-01-01.*but something was written/,
  ],
  [
    'store',
    'does not open',
    () => ({ store: new AppError('store_unavailable', { detail: 'disk I/O error' }) }),
    'failed',
    /disk I\/O error/,
  ],
  [
    'vault_key',
    'is another database’s',
    () => ({ vault: new AppError('vault_unavailable', { detail: 'another key' }) }),
    'failed',
    /another key/,
  ],
  [
    'vault_key',
    'has no copy',
    async () => {
      await rm(join(home, 'vault.key.backup.json'))
      return {}
    },
    'warning',
    /nobody has copied it/,
  ],
  [
    'vault_entries',
    'is under a rotation that does not end',
    async () => {
      const requested_at = Date.now() - 2 * 3_600_000
      await ward.store.db.insertInto('vault_rotations').values({ requested_at, total: 7, unreadable: 0 }).execute()
      return {}
    },
    'warning',
    /under rotation since .+ of 7/,
  ],
  [
    'port',
    'is taken',
    async () => {
      const server = createServer().listen(0, '127.0.0.1').unref()
      await once(server, 'listening')
      return { config: configured({ listen: { port: (server.address() as { port: number }).port } }) }
    },
    'failed',
    /another program listens there/,
  ],
  [
    'certificate',
    'cannot be read',
    () => {
      const tls = { certificate_file: join(home, 'no.pem'), key_file: join(home, 'no.key') }
      return { config: configured({ listen: { tls } }) }
    },
    'failed',
    /no\.pem/,
  ],
  [
    'certificate',
    'is not there, and other hosts come by the public address',
    () => ({ config: configured({ public_url: 'http://anteroom.example' }) }),
    'warning',
    /without TLS/,
  ],
  [
    'certificate',
    'does not answer',
    () => ({ config: configured({ public_url: 'https://127.0.0.1:1' }) }),
    'failed',
    /ECONNREFUSED/,
  ],
  [
    'evidence',
    'cannot be written',
    async () => {
      await writeFile(join(home, 'evidence'), 'a file in the place of the directory')
      return {}
    },
    'failed',
    /cannot be written/,
  ],
  [
    'evidence',
    'is more than is allowed',
    async () => {
      await ward.keepOldEvidence()
      return {}
    },
    'warning',
    /1 in .* older or more than evidence/,
  ],
  [
    'log',
    'cannot be written',
    async () => {
      await writeFile(join(home, 'logs'), 'a file in the place of the directory')
      return {}
    },
    'failed',
    /cannot be written/,
  ],
  [
    'log',
    'is more than is allowed',
    async () => {
      await ward.keepOldLog()
      return {}
    },
    'warning',
    /1 files in .* older or more than log/,
  ],
  [
    'files',
    'are open to others',
    async () => {
      await chmod(join(home, 'vault.key'), 0o644)
      return {}
    },
    'failed',
    /others may read .*vault\.key \(mode 644\)/,
  ],
  [
    'files',
    'were never finished',
    async () => {
      await ward.writeOld(join(home, 'operator.key.1a2b3c4d.new'))
      return {}
    },
    'warning',
    /1a2b3c4d\.new was never finished/,
  ],
  ['audit', 'is forged', () => ward.forgeAudit().then(() => ({})), 'failed', /what entry 1 says is not/],
  [
    'audit',
    'is another key’s',
    () => ({ audit: testAudit({ store: ward.store, keyOf: () => Buffer.alloc(32, 8) }) }),
    'failed',
    /not signed with the key of this vault/,
  ],
  ['integrity', 'is damaged', () => ward.damageDatabase().then(() => ({})), 'failed', /is damaged: .{10}/],
  [
    'leftovers',
    'are golden images',
    () => ({ images: imagesOf(async () => image, [`img_${'7'.repeat(24)}`]) }),
    'warning',
    /nobody holds img_777/,
  ],
  [
    'leftovers',
    'are there',
    async () => {
      slots.made.add(3)
      return {}
    },
    'warning',
    /nobody holds network slot 3/,
  ],
]

describe.each(breaks)('%s', (name, what, breakIt, verdict, words) => {
  test(`${what}: ${verdict}, and what to do`, async () => {
    const result = await check(name, await breakIt())
    expect(result).toMatchObject({ verdict, found: expect.stringMatching(words) })
    expect(result.remedy).toMatch(/.{10}/)
  })
})

test('each check is broken by a test', () => {
  expect(new Set(breaks.map(([name]) => name))).toEqual(new Set(doctorChecks))
})

test('what is left of machines is removed when that is asked for, and not before', async () => {
  const id = newId('machine')
  await createFakeDriver(host).create({ id, wanted: 'running' } as never, scope)
  slots.made.add(5)
  expect((await check('leftovers')).found).toContain(id)
  expect(host.machines.has(id)).toBe(true)
  const fixed = await check('leftovers', {}, true)
  expect(fixed).toMatchObject({ verdict: 'ok', fixed: expect.stringContaining(id) })
  expect([...host.machines.keys(), ...slots.made]).toEqual([])
})

test('what a lease or the pool holds is not left over', async () => {
  slots.made.add(2)
  expect((await check('leftovers', { slotsAhead: new Set([2]) })).verdict).toBe('ok')
})

test('where nothing opens, every check still answers', async () => {
  const broken = new AppError('store_unavailable', { detail: 'gone' })
  const report = await examine({ ...patient, store: broken, vault: broken, slots: broken, driver: broken }, scope)
  expect(report.checks.map(({ name }) => name)).toEqual([...doctorChecks])
  expect(report.verdict).toBe('failed')
  for (const { verdict, remedy } of report.checks)
    expect([verdict === 'ok', remedy === null]).toEqual([verdict === 'ok', verdict === 'ok'])
})

test('a check that hangs does not keep the others back', async () => {
  const hangs = imagesOf(() => new Promise<never>(() => {}))
  const report = await examine({ ...patient, images: hangs }, scope)
  expect(report.checks.find(({ name }) => name === 'image')).toMatchObject({ verdict: 'failed' })
  expect(report.checks.find(({ name }) => name === 'disk')).toMatchObject({ verdict: 'ok' })
})
