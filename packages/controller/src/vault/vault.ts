import type { CaptureSummary, Credential, SealingKey } from '@anteroom/contract'
import type { Tx } from '../store/store.ts'

/** The only module that sees a credential's plaintext. */
export interface Vault {
  /** The session's public sealing key; made on first use, the same one afterwards. */
  sealingKey(sessionId: string): Promise<SealingKey>
  /**
   * Opens what the guest sealed, checks that it is this session's, and stores it encrypted as the next version of the
   * connection. Idempotent by session. Destroys the session's sealing key.
   * @throws AppError capture_invalid, vault_unavailable
   */
  store(
    session: { readonly id: string; readonly provider: string; readonly connectionId: string },
    sealed: string,
    summary: CaptureSummary,
  ): Promise<void>
  /** Forgets the sealing key of a session that ended without a credential. */
  discardSealingKey(tx: Tx, sessionId: string): Promise<void>
  /** @throws AppError not_found, connection_needs_auth, vault_unavailable */
  read(connectionId: string): Promise<Credential>
  /** A key derived from the vault's own (HKDF, `label` as info), for secrets that must not be stored. 32 bytes. */
  deriveKey(label: string): Buffer
}
