import { readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseJson, systemErrorCode } from '@anteroom/base'
import { z } from 'zod'
import type { Heads } from './heads.ts'

const mark = z.object({ sequence: z.int().nonnegative(), mac: z.string() })

/** Beside the key file of the state directory, whoever holds the root key. */
export const markPathOf = (keyFile: string): string => join(dirname(keyFile), 'vault.mark')

/**
 * How many changes the vault has written, beside the database: one that was put back says less. Written after each change was
 * committed, so that it never says more than the newest database. Not synced: a power cut may lose the last ones, and never adds any.
 */
export class VaultMark {
  readonly path: string
  readonly #heads: Heads
  #written = -1
  #turn: Promise<void> = Promise.resolve()

  constructor(path: string, heads: Heads) {
    this.path = path
    this.#heads = heads
  }

  /** 0 when there is none. Throws when it is not one of this vault's. */
  async read(): Promise<number> {
    const text = await readFile(this.path, 'utf8').catch((error: unknown) => {
      if (systemErrorCode(error) === 'ENOENT') return undefined
      throw error
    })
    if (text === undefined) return 0
    const parsed = mark.safeParse(parseJson(text))
    if (!parsed.success || !this.#heads.isMac(parsed.data.mac, ['mark', parsed.data.sequence]))
      throw new Error(`${this.path} was changed, or belongs to another vault`)
    return parsed.data.sequence
  }

  /** Never back: of two at once the higher one stays. */
  write(sequence: number, how: { readonly evenBack?: true } = {}): Promise<void> {
    this.#turn = this.#turn
      .catch(() => {})
      .then(async () => {
        if (sequence <= this.#written && !how.evenBack) return
        const text = JSON.stringify({ sequence, mac: this.#heads.mac(['mark', sequence]) })
        await writeFile(`${this.path}.new`, `${text}\n`, { mode: 0o600 })
        await rename(`${this.path}.new`, this.path)
        this.#written = sequence
      })
    return this.#turn
  }
}
