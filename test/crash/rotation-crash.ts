import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { TestVault } from '../../packages/controller/src/vault/test-vault.fixture.ts'
import { readCredential } from '../../packages/controller/test/read-credential.ts'
import { InstrumentedModules } from './instrumented-modules.ts'
import { firstPassings } from './sweep.ts'

/** More than two of the batches that a rotation does at once. */
const entries = 120
const program = join(import.meta.dirname, 'rotation-program.ts')

/** A vault whose rotation dies at points of its code. */
export class RotationCrash implements AsyncDisposable {
  readonly #modules: InstrumentedModules
  readonly #directory: string
  readonly #tokens: ReadonlyMap<string, string>
  private constructor(modules: InstrumentedModules, directory: string, tokens: ReadonlyMap<string, string>) {
    this.#modules = modules
    this.#directory = directory
    this.#tokens = tokens
  }

  static async make(): Promise<RotationCrash> {
    const directory = await mkdtemp(join(tmpdir(), 'anteroom-rotation-'))
    await using world = await TestVault.open()
    const tokens = new Map<string, string>()
    for (let n = 0; n < entries; n++) tokens.set(await world.keep(`token ${n}`), `token ${n}`)
    await world.store.close()
    await cp(world.home, join(directory, 'before'), { recursive: true })
    return new RotationCrash(await InstrumentedModules.make(), directory, tokens)
  }

  /** One point of every moment of a rotation, from its start to its end. */
  async points(): Promise<string[]> {
    const home = await this.#fresh()
    const passed = await this.#modules.passedDuring(async () => {
      const signal = await this.#run(home)
      if (signal !== null) throw new Error(`a rotation that nothing disturbs ended with ${signal}`)
    })
    return firstPassings(passed, new Set()).flatMap(([point]) => point ?? [])
  }

  /** The process dies there, and the next one goes on. @throws AssertionError, Error when something is lost */
  async dieAt(point: string): Promise<'died' | 'missed'> {
    const home = await this.#fresh()
    await this.#modules.dieAt(point)
    const signal = await this.#run(home)
    await this.#modules.disarm()
    await using world = await TestVault.at(home)
    await this.#requireAll(world, `after ${point}`)
    await world.vault.rotation.request()
    await world.rotate(Scope.root('rotation'))
    await world.reopen()
    await this.#requireAll(world, `rotated, after ${point}`)
    const { opened, unreadable, put_back } = await world.vault.verify(Scope.root('rotation'))
    if (opened !== entries || unreadable.length > 0 || put_back !== null)
      throw new Error(`after ${point} ${opened} of ${entries} open, put back: ${put_back}`)
    const keys = await world.store.db
      .selectFrom('wrapping_keys')
      .select('state')
      .where('purpose', '=', 'entries')
      .execute()
    if (keys.length !== 1) throw new Error(`after ${point} there are ${keys.length} keys of entries, not one`)
    return signal === 'SIGKILL' ? 'died' : 'missed'
  }

  async #requireAll({ vault }: TestVault, when: string): Promise<void> {
    for (const [id, token] of this.#tokens) {
      const { value } = await readCredential(vault, id)
      if (value.kind !== 'oauth2' || value.access_token !== token)
        throw new Error(`${when} a credential is another one`)
    }
  }

  async #fresh(): Promise<string> {
    const home = await mkdtemp(join(this.#directory, 'home-'))
    await cp(join(this.#directory, 'before'), home, { recursive: true })
    return home
  }

  async #run(home: string): Promise<NodeJS.Signals | null> {
    const words = [...this.#modules.nodeArguments, program, home]
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'inherit', 'inherit'] })
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (code !== null && code !== 0) throw new Error(`the rotation ended with ${code}`)
    return signal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#modules.remove()
    await rm(this.#directory, { recursive: true })
  }
}
