import { AppError } from '@anteroom/base'
import type { MachineState } from '@anteroom/contract'
import type { Machine, MachineDriver, MachineEvidence } from '../driver.ts'

interface FakeMachine {
  readonly origin: Machine['origin']
  state: MachineState
  evidence: MachineEvidence
}

type FallibleMethod = 'create' | 'inspect' | 'resume' | 'destroy' | 'list'

/** What a restart of the controller survives, and what a test can do to it. Several drivers may share one. */
export class FakeHost {
  readonly machines = new Map<string, FakeMachine>()
  readonly #failures: { readonly method: FallibleMethod; readonly error: AppError }[] = []

  /** The next call of that method fails; several are taken in order. */
  failNext(method: FallibleMethod, error: AppError): void {
    this.#failures.push({ method, error })
  }

  /** What was to fail and has not yet does not. */
  failNoMore(): void {
    this.#failures.length = 0
  }

  /** The monitor is gone; its files are still there. */
  kill(id: string, evidence: Partial<MachineEvidence> = {}): void {
    const machine = this.#machine(id)
    machine.state = 'absent'
    machine.evidence = { ...machine.evidence, ...evidence }
  }

  pause(id: string): void {
    this.#machine(id).state = 'paused'
  }

  wake(id: string): void {
    this.#machine(id).state = 'running'
  }

  throwIfFailing(method: FallibleMethod): void {
    const index = this.#failures.findIndex((failure) => failure.method === method)
    const [failure] = index < 0 ? [] : this.#failures.splice(index, 1)
    if (failure) throw failure.error
  }

  #machine(id: string): FakeMachine {
    const machine = this.machines.get(id)
    if (!machine) throw new Error(`the fake host has no machine ${id}`)
    return machine
  }
}

const nothing: MachineEvidence = { console: '', vmm: '' }

/** Machines without anything in them, for tests of what stands above the driver. Held to the driver's contract. */
export function createFakeDriver(host = new FakeHost()): MachineDriver {
  const isThere = (id: string): boolean => (host.machines.get(id)?.state ?? 'absent') !== 'absent'
  return {
    name: 'fake',
    async capabilities() {
      return { version: 'fake', accelerator: 'tcg', accelerationNote: 'nothing runs' }
    },
    async create({ id, snapshot, wanted }, scope) {
      scope.throwIfOver()
      host.throwIfFailing('create')
      if (!isThere(id)) {
        const origin = snapshot ? 'restored' : 'booted'
        host.machines.set(id, { state: wanted, origin, evidence: { ...nothing, console: 'fake: started\n' } })
      }
      return { id, accelerator: 'tcg', origin: host.machines.get(id)?.origin ?? 'booted' }
    },
    async inspect(id) {
      host.throwIfFailing('inspect')
      return host.machines.get(id)?.state ?? 'absent'
    },
    async resume(id) {
      host.throwIfFailing('resume')
      const machine = host.machines.get(id)
      if (!machine || machine.state === 'absent') throw new AppError('machine_lost', { detail: id })
      machine.state = 'running'
    },
    async destroy(id) {
      host.throwIfFailing('destroy')
      host.machines.delete(id)
    },
    async list() {
      host.throwIfFailing('list')
      return [...host.machines.keys()]
    },
    async evidence(id) {
      return host.machines.get(id)?.evidence ?? nothing
    },
  }
}
