import { createHash, timingSafeEqual } from 'node:crypto'

/** Whose machine this is. Decided once, by the program that takes claims. */
export class Claim {
  #secretDigest: Buffer | undefined

  get isMade(): boolean {
    return this.#secretDigest !== undefined
  }

  make(secretDigest: Buffer): void {
    if (this.#secretDigest !== undefined) throw new Error('this machine is claimed already')
    this.#secretDigest = secretDigest
  }

  isHolder(authorization: string | undefined): boolean {
    const secret = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
    const digest = createHash('sha256').update(secret).digest()
    return this.#secretDigest !== undefined && timingSafeEqual(digest, this.#secretDigest)
  }
}
