import { access, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, createSerialiser, type Scope, systemErrorCode } from '@anteroom/base'
import { type MachineState, machineId } from '@anteroom/contract'
import {
  confinedMachines,
  end,
  type FoundVmm,
  findVmms,
  isAlive,
  limitsOf,
  type ProcessIdentity,
  readVmmIdentity,
  release,
  startVmm,
  tailOf,
  type VmmNetwork,
  vmmFiles,
  writeVmmIdentity,
} from '@anteroom/vmm'
import type { Config } from '../../config.ts'
import { instanceTag, type Slot, slotPorts, tapNames } from '../../host/host.ts'
import type { SnapshotFiles } from '../../snapshots/snapshots.ts'
import type { Capabilities, Machine, MachineDriver, MachineEvidence, MachineSpec } from '../driver.ts'
import { type AccelerationDeps, imageFiles, QemuAcceleration } from './qemu-acceleration.ts'
import { continueGuest, stateByMonitor } from './qemu-state.ts'

export interface QemuDriverDeps extends AccelerationDeps {
  readonly config: Pick<Config, 'vmm' | 'home'>
}

const evidenceBytes = 16 * 1024
const adoptionMs = 30_000

/**
 * A machine is a QEMU process that outlives the controller, and `<home>/machines/<id>` with its socket, console and
 * identity. Which ones there are is read from the host each time, never remembered.
 */
export class QemuDriver implements MachineDriver {
  readonly name = 'qemu'
  readonly #root: string
  readonly #instance: string
  readonly #binary: string
  readonly #acceleration: QemuAcceleration
  readonly #oneAtATime = createSerialiser()

  constructor(deps: QemuDriverDeps) {
    this.#root = join(deps.config.home, 'machines')
    this.#instance = instanceTag(deps.config.home)
    this.#binary = deps.config.vmm.binary
    this.#acceleration = new QemuAcceleration(deps)
  }

  capabilities(scope: Scope): Promise<Capabilities> {
    return this.#acceleration.ofCurrentImage(scope)
  }

  create(spec: MachineSpec, scope: Scope): Promise<Machine> {
    return this.#oneAtATime(spec.id, async () => {
      const running = await this.#found(spec.id)
      if (running) return await this.#adopt(running, scope)
      // A process that is just dying has no name any more, but may still hold the slot's tap.
      const dying = await this.#processOf(spec.id)
      if (dying) await end(dying, scope)
      return await this.#start(spec, scope)
    })
  }

  async inspect(id: string, scope: Scope): Promise<MachineState> {
    const identity = await this.#processOf(id)
    if (!identity) return 'absent'
    const state = await stateByMonitor(this.#directoryOf(id), scope)
    // The answer of a monitor that has ended meanwhile is a broken connection.
    return (await isAlive(identity)) ? state : 'absent'
  }

  async resume(id: string, scope: Scope): Promise<void> {
    if (!(await this.#processOf(id))) throw new AppError('machine_lost', { detail: `${id} has no process to resume` })
    await continueGuest(this.#directoryOf(id), scope)
  }

  destroy(id: string, scope: Scope): Promise<void> {
    return this.#oneAtATime(id, async () => {
      // There is nothing to save: no disk of a machine is writable.
      for (let process = await this.#processOf(id); process; process = await this.#processOf(id))
        await end(process, scope)
      await release(this.#instance, id, scope)
      await rm(this.#directoryOf(id), { recursive: true, force: true })
    })
  }

  async list(): Promise<string[]> {
    const directories = await readdir(this.#root).catch((error: unknown) => {
      if (systemErrorCode(error) === 'ENOENT') return []
      throw error
    })
    const processes = (await findVmms(this.#instance)).map((vmm) => vmm.id)
    const groups = await confinedMachines(this.#instance)
    return [...new Set([...directories, ...processes, ...groups])].filter((id) => machineId.safeParse(id).success)
  }

  async evidence(id: string): Promise<MachineEvidence> {
    const files = vmmFiles(this.#directoryOf(id))
    return { console: await tailOf(files.console, evidenceBytes), vmm: await tailOf(files.log, evidenceBytes) }
  }

  #directoryOf(id: string): string {
    return join(this.#root, id)
  }

  async #found(id: string): Promise<FoundVmm | undefined> {
    return (await findVmms(this.#instance)).find((vmm) => vmm.id === id)
  }

  /** By its record, which is cheap and asked several times a second; else by its name, which no crash can lose. */
  async #processOf(id: string): Promise<ProcessIdentity | undefined> {
    const recorded = await readVmmIdentity(this.#directoryOf(id))
    if (recorded && (await isAlive(recorded))) return recorded
    return (await this.#found(id))?.identity
  }

  /** An earlier controller started it and may have died before it could record or await it. */
  async #adopt({ id, identity, accelerator, origin }: FoundVmm, scope: Scope): Promise<Machine> {
    await writeVmmIdentity(this.#directoryOf(id), identity)
    return await scope.run({ name: `adoption of machine ${id}`, deadlineMs: adoptionMs }, (inner) =>
      inner.until(async () => {
        const state = await this.inspect(id, inner)
        if (state === 'absent') throw new AppError('vmm_exited', { detail: (await this.evidence(id)).vmm })
        return state === 'running' || state === 'paused' ? { id, accelerator, origin } : undefined
      }, 20),
    )
  }

  async #start(spec: MachineSpec, scope: Scope): Promise<Machine> {
    const { id, image, snapshot, slot, memoryMiB, vcpus, wanted } = spec
    const { rootfs, ...boot } = imageFiles(image)
    for (const file of [rootfs, ...Object.values(boot)]) await requireFile(file)
    const { accelerator } = await this.#acceleration.of(image, scope)
    const directory = this.#directoryOf(id)
    try {
      await rm(directory, { recursive: true, force: true })
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await startVmm(
        {
          ...{ id, instance: this.#instance, binary: this.#binary, accelerator, directory, memoryMiB, vcpus, rootfs },
          limits: limitsOf({ memoryMiB, vcpus, accelerator }),
          ...{ wanted, runAs: slot.vmmUid, network: this.#networkOf(slot) },
          origin: snapshot
            ? { kind: 'snapshot', ...snapshotFiles(snapshot) }
            : { kind: 'boot', ...boot, commandLine: image.manifest.command_line, memoryFile: null },
        },
        scope,
      )
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOSPC') throw error
      throw new AppError('disk_full', { detail: directory, cause: error })
    }
    return { id, accelerator, origin: snapshot ? 'restored' : 'booted' }
  }

  #networkOf({ kind, index, ip }: Slot): VmmNetwork {
    if (kind === 'user') return { kind, ip, ports: slotPorts }
    const { namespace, tap } = tapNames(this.#instance, index)
    return { kind, namespace, tap }
  }
}

const snapshotFiles = ({ directory, manifest }: SnapshotFiles) => ({
  memoryFile: join(directory, manifest.memory.name),
  stateFile: join(directory, manifest.state.name),
})

async function requireFile(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new AppError('image_missing', { detail: path, cause })
  })
}
