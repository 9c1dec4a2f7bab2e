import { isLoopback } from '@anteroom/base'
import { z } from 'zod'

const names = z.array(z.string().min(1).max(200)).max(1000).default([])

const allow = z
  .strictObject({
    /** `sub`, as the issuer gives it. */
    subjects: names,
    /** Counts only where the issuer says that it is verified. */
    emails: names,
    groups: names,
    /** The claim that holds the groups of a person. */
    groups_claim: z.string().min(1).max(100).default('groups'),
  })
  .refine(
    ({ subjects, emails, groups }) => subjects.length + emails.length + groups.length > 0,
    'must name somebody: in subjects, emails or groups',
  )

const oidc = z.strictObject({
  issuer: z
    .url({ protocol: /^https?$/ })
    .refine(
      (text) => text.startsWith('https:') || isLoopback(new URL(text).hostname),
      'must be https; http is for this host alone',
    ),
  client_id: z.string().min(1).max(500),
  /** Left out: a public client. Read at each sign-in. */
  client_secret_file: z.string().min(1).optional(),
  scopes: z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/)).default(['openid', 'profile', 'email']),
  allow,
})

/** Who may use the dashboard. */
export const operatorsSchema = z
  .strictObject({
    /** One-time links, as every start prints one. */
    links: z.enum(['on', 'off']).default('on'),
    oidc: oidc.optional(),
  })
  .refine(
    ({ links, oidc: other }) => links === 'on' || other !== undefined,
    'operators.links: off leaves no way in without operators.oidc',
  )
