import { mkdir, mkdtemp, open, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, Scope, silentLog, systemClock } from '@anteroom/base'
import { type DoctorCheck, type DoctorCheckName, doctorReport } from '@anteroom/contract'
import type { VmmWalls } from '@anteroom/vmm'
import { sql } from 'kysely'
import { publishSnapshot, writeMonitor } from '../../test/publish-snapshot.ts'
import { FakeSlots, imageOf } from '../../test/session-world.ts'
import { testAudit } from '../../test/test-audit.ts'
import type { Audit } from '../audit/audit.ts'
import { type Config, configSchema } from '../config.ts'
import type { FirewallState } from '../host/host.ts'
import { createFakeDriver, FakeHost } from '../machines/fake/fake-driver.ts'
import { logDirectory } from '../observe/observe.ts'
import { openStore, type Store } from '../store/store.ts'
import { backUpKey, openVault, type Vault } from '../vault/vault.ts'
import { examine, type Patient } from './doctor.ts'

export const scope = Scope.root('test', silentLog)

export const image = {
  ...imageOf('1'),
  manifest: {
    built_at: new Date().toISOString(),
    boot_test: { accelerator: 'tcg', hello_ms: 9_000, painted_ms: 20_000 },
  },
} as never as Awaited<ReturnType<Patient['images']['current']>>

export const imagesOf = (current: () => Promise<typeof image>, unused: string[] = []): Patient['images'] =>
  ({ current, unused: async () => unused, collect: async () => unused.splice(0) }) as unknown as Patient['images']

export const walls: VmmWalls = {
  ...{ ownUser: true, cgroupVersion: 2, limited: ['memory', 'cpu', 'pids'] },
  limits: { memoryMiB: 2048, processors: 3, threads: 256 },
}

export const firewallOf = (state: FirewallState): NonNullable<Patient['firewall']> => ({
  look: async () => state,
  ensure: async () => state,
})

export const measurement = {
  load: [0.1, 0.1, 0.1] as [number, number, number],
  ...{ cores: 2, cpuPressure: 5, availableMemoryMiB: 20_000, totalMemoryMiB: 24_000, freeDiskMiB: 50_000 },
}

/** A host on which all is well, of real parts but for its machines and slots, and what can be broken in it. */
export class Ward {
  readonly home: string
  readonly store: Store
  readonly host = new FakeHost()
  readonly slots = new FakeSlots('user')
  readonly patient: Patient

  private constructor(home: string, store: Store, vault: Vault, audit: Audit) {
    this.home = home
    this.store = store
    const { host, slots } = this
    this.patient = {
      ...{ config: this.configured(), clock: systemClock, store, vault, audit, slots },
      driver: {
        ...createFakeDriver(host),
        capabilities: async () => ({ version: 'fake', accelerator: 'kvm', accelerationNote: null }),
      },
      images: imagesOf(async () => image),
      snapshots: null,
      measureHost: async () => measurement,
      measureWalls: async () => walls,
      slotsAhead: new Set(),
      firewall: firewallOf({ inForce: true, why: null, refused: 0 }),
      sweep: async (sweeping) => {
        for (const id of await createFakeDriver(host).list(sweeping)) await createFakeDriver(host).destroy(id, sweeping)
        slots.made.clear()
      },
      url: null,
    }
  }

  static async open(): Promise<Ward> {
    const home = await mkdtemp(join(tmpdir(), 'anteroom-doctor-'))
    await writeMonitor(home)
    const store = await openStore(join(home, 'anteroom.sqlite'))
    const keyFile = join(home, 'vault.key')
    const audit = testAudit({ store })
    await audit.recordAlone({ action: 'controller.started', target: { kind: 'controller', id: null } })
    const ward = new Ward(home, store, await openVault({ keyFile, store, clock: systemClock, audit }), audit)
    await backUpKey(keyFile, join(home, 'copy.key'), Date.now())
    await ward.publishSnapshot()
    return ward
  }

  async close(): Promise<void> {
    await this.store.close()
    await rm(this.home, { recursive: true })
  }

  configured(over: object = {}): Config {
    const ours = { network: { kind: 'user' }, vmm: { binary: join(this.home, 'qemu') }, listen: { port: 0 } }
    return { ...configSchema.parse({ ...ours, ...over }), home: this.home }
  }

  /** Of the current image, as this host would make machines. Gives its directory. */
  async publishSnapshot(): Promise<string> {
    const { binary, memory_mib: memoryMiB, vcpus } = this.configured().vmm
    const shape = { binary, accelerator: 'kvm' as const, memoryMiB, vcpus }
    return join(this.home, 'snapshots', await publishSnapshot(this.home, image.id, shape, scope))
  }

  async check(name: DoctorCheckName, changed: Partial<Patient> = {}, fix = false): Promise<DoctorCheck> {
    const report = doctorReport.parse(await examine({ ...this.patient, ...changed }, scope, { fix }))
    const found = report.checks.find((one) => one.name === name)
    if (!found) throw new Error(`nobody looks at ${name}`)
    return found
  }

  async keepOldEvidence(): Promise<string> {
    const directory = join(this.home, 'evidence', newId('session'))
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await daysAgo(directory, 40)
    return directory
  }

  /** Gives the first of two files, which is too old. */
  async keepOldLog(): Promise<string> {
    const directory = logDirectory(this.home)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    for (const day of ['2026-01-01', '2026-01-02']) await writeFile(join(directory, `${day}.0001.jsonl`), '{}\n')
    await daysAgo(join(directory, '2026-01-01.0001.jsonl'), 40)
    return join(directory, '2026-01-01.0001.jsonl')
  }

  /** A draft of yesterday. */
  async writeOld(path: string): Promise<void> {
    await writeFile(path, 'half')
    await daysAgo(path, 1)
  }

  /** As somebody does it who has the file. */
  async forgeAudit(): Promise<void> {
    await sql`drop trigger audit_is_final`.execute(this.store.db)
    await sql`update audit set actor_kind = 'nobody' where seq = 1`.execute(this.store.db)
  }

  /** As a failing disk does it: one page of the file is not what was written. */
  async damageDatabase(): Promise<void> {
    await sql`pragma wal_checkpoint(truncate)`.execute(this.store.db)
    await using file = await open(join(this.home, 'anteroom.sqlite'), 'r+')
    await file.write(Buffer.alloc(4096, 0xff), 0, 4096, 2 * 4096)
  }
}

const daysAgo = (path: string, days: number): Promise<void> => {
  const at = new Date(Date.now() - days * 86_400_000)
  return utimes(path, at, at)
}
