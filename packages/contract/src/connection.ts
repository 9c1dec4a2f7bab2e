import { z } from 'zod'
import { connectionId, credentialId, projectId, sessionId } from './ids.ts'
import { captureSummary } from './session.ts'

export const connection = z.object({
  id: connectionId,
  project_id: projectId,
  provider: z.string(),
  subject: z.string(),
  status: z.enum(['authenticated', 'needs_auth']),
  /** Number of the newest credential; 0 where there is none yet. */
  version: z.number().int().nonnegative(),
  captured: captureSummary.nullable(),
  last_session_id: sessionId.nullable(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})
export type Connection = z.infer<typeof connection>

export const oauth2Tokens = z.object({
  kind: z.literal('oauth2'),
  issuer: z.string().nullable(),
  client_id: z.string(),
  access_token: z.string(),
  token_type: z.string(),
  refresh_token: z.string().nullable(),
  id_token: z.string().nullable(),
  scope: z.string().nullable(),
  /** RFC 3339; null when the provider did not say. */
  expires_at: z.iso.datetime().nullable(),
})

/** Playwright's `storageState` format, read by `browser.newContext({ storageState })`. */
export const storageState = z.object({
  cookies: z.array(
    z.object({
      name: z.string(),
      value: z.string(),
      domain: z.string(),
      path: z.string(),
      expires: z.number(),
      httpOnly: z.boolean(),
      secure: z.boolean(),
      sameSite: z.enum(['Strict', 'Lax', 'None']),
      partitionKey: z.string().optional(),
    }),
  ),
  origins: z.array(
    z.object({
      origin: z.string(),
      localStorage: z.array(z.object({ name: z.string(), value: z.string() })),
      indexedDB: z.array(z.unknown()).optional(),
    }),
  ),
})
export type StorageState = z.infer<typeof storageState>

export const websiteState = z.object({
  kind: z.literal('website'),
  storage_state: storageState,
  session_storage: z.array(
    z.object({ origin: z.string(), entries: z.array(z.object({ name: z.string(), value: z.string() })) }),
  ),
})

export const credentialValue = z.discriminatedUnion('kind', [oauth2Tokens, websiteState])
export type CredentialValue = z.infer<typeof credentialValue>

/** What the guest seals: the value, bound to the session that asked for it. */
export const sealedPayload = z.object({
  session_id: sessionId,
  provider: z.string(),
  captured_at: z.iso.datetime(),
  value: credentialValue,
})
export type SealedPayload = z.infer<typeof sealedPayload>

/** The answer to GET /v1/connections/{id}/credential. */
export const credential = z.object({
  id: credentialId,
  connection_id: connectionId,
  version: z.number().int().positive(),
  captured_at: z.iso.datetime(),
  value: credentialValue,
})
export type Credential = z.infer<typeof credential>
