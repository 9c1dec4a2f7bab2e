import { createHash, timingSafeEqual } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { runCommand, type Scope } from '@anteroom/base'
import type { AgentClaim } from '@anteroom/contract'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Whose machine this is. Decided once. */
export class Claim {
  readonly #apply: (claim: AgentClaim, scope: Scope) => Promise<void>
  #holder: { machineId: string; secretDigest: Buffer } | undefined
  #applied: Promise<void> | undefined

  /** `apply` makes the machine the claim's. */
  constructor(apply: (claim: AgentClaim, scope: Scope) => Promise<void>) {
    this.#apply = apply
  }

  get isMade(): boolean {
    return this.#holder !== undefined
  }

  /** Again the same: no effect. @returns false when the machine is another's already */
  async make(claim: AgentClaim, scope: Scope): Promise<boolean> {
    if (this.#holder) {
      const isSame = timingSafeEqual(digest(claim.secret), this.#holder.secretDigest)
      if (!isSame || claim.machine_id !== this.#holder.machineId) return false
    } else {
      this.#holder = { machineId: claim.machine_id, secretDigest: digest(claim.secret) }
      this.#applied = this.#apply(claim, scope)
    }
    try {
      await this.#applied
      return true
    } catch (error) {
      this.#holder = undefined
      throw error
    }
  }

  isHolder(authorization: string | undefined): boolean {
    const secret = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
    return this.#holder !== undefined && timingSafeEqual(digest(secret), this.#holder.secretDigest)
  }
}

/** What a machine may share with others made from the same image: clock, random state, identity. */
export async function renewMachine(claim: AgentClaim, scope: Scope): Promise<void> {
  await runCommand(scope, 'date', ['-u', '-s', `@${(claim.now_ms / 1000).toFixed(3)}`])
  // Mixed into the pool (random(4)); it can only make it better.
  await writeFile('/dev/urandom', Buffer.from(claim.entropy, 'base64url'))
  const machineId = createHash('sha256').update(`machine-id ${claim.machine_id}`).update(claim.entropy).digest('hex')
  for (const file of ['/etc/machine-id', '/var/lib/dbus/machine-id'])
    await writeFile(file, `${machineId.slice(0, 32)}\n`)
}
