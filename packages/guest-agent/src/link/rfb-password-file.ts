import { chown, writeFile } from 'node:fs/promises'
import type { UnixUser } from '../agent-config.ts'

/** The file that the screen's server reads at each authentication; the claim writes into it too. */
export class RfbPasswordFile {
  readonly path: string
  readonly #owner: UnixUser | undefined

  constructor(path: string, owner: UnixUser | undefined) {
    this.path = path
    this.#owner = owner
  }

  /** `obfuscated` as vncpasswd(1) writes it. Always the same file: whoever takes the claim has it open. */
  async write(obfuscated: Buffer): Promise<void> {
    await writeFile(this.path, obfuscated, { mode: 0o600 })
    if (this.#owner) await chown(this.path, this.#owner.uid, this.#owner.gid)
  }
}
