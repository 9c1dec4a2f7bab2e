import { z } from 'zod'

/** The answer to /v1/vault/rotation: a new wrapping key takes over from the one before. */
export const vaultRotation = z.object({
  status: z.enum(['running', 'completed']),
  /** The new key; null: it is not made yet. */
  key_id: z.string().nullable(),
  /** What was wrapped under older keys when it began. */
  total: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  /** Entries that open with no key: damaged, or changed by somebody else. `anteroom vault verify` names them. */
  unreadable: z.number().int().nonnegative(),
  requested_at: z.iso.datetime(),
  completed_at: z.iso.datetime().nullable(),
})
export type VaultRotation = z.infer<typeof vaultRotation>
