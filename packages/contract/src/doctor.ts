import { z } from 'zod'

/** What the doctor looks at, in the order in which things need each other. */
export const doctorChecks = [
  'vmm',
  'vmm_limits',
  'acceleration',
  'image',
  'snapshot',
  'network',
  'firewall',
  'addresses',
  'memory',
  'load',
  'disk',
  'clock',
  'store',
  'integrity',
  'audit',
  'vault_key',
  'vault_entries',
  'port',
  'certificate',
  'evidence',
  'log',
  'files',
  'leftovers',
] as const
export type DoctorCheckName = (typeof doctorChecks)[number]

/** `failed`: sessions cannot be served, or something is wrong that must not be. `warning`: they can, but not as well as they could. */
export const verdicts = ['ok', 'warning', 'failed'] as const
export type Verdict = (typeof verdicts)[number]

export const doctorCheck = z.object({
  name: z.enum(doctorChecks),
  verdict: z.enum(verdicts),
  /** One sentence, with what was measured. */
  found: z.string(),
  /** What to do; null where nothing is to be done. */
  remedy: z.string().nullable(),
  /** What was repaired just now; null: nothing. */
  fixed: z.string().nullable(),
  duration_ms: z.number().int().nonnegative(),
})
export type DoctorCheck = z.infer<typeof doctorCheck>

export const doctorReport = z.object({
  at: z.iso.datetime(),
  /** The worst of its checks. */
  verdict: z.enum(verdicts),
  checks: z.array(doctorCheck),
})
export type DoctorReport = z.infer<typeof doctorReport>
