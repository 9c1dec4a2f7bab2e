import { silentLog, systemClock } from '@anteroom/base'
import { type Audit, type AuditParts, createAudit } from '../src/audit/audit.ts'

/** A real one; only its key is nobody's. */
export const testAudit = (parts: Pick<AuditParts, 'store'> & Partial<AuditParts>): Audit =>
  createAudit({ clock: systemClock, log: silentLog, keyOf: () => Buffer.alloc(32, 7), ...parts })
