import { z } from 'zod'
import { viewerId } from './ids.ts'
import { isOrigin } from './origin.ts'

export const keyScopes = [
  'sessions:read',
  'sessions:write',
  'connections:read',
  'connections:write',
  'credentials:read',
  'operator',
] as const
export const keyScope = z.enum(keyScopes)
export type KeyScope = z.infer<typeof keyScope>

/** WebSocket close codes of the live view (4000–4999 are private use, RFC 6455 section 7.4.2). */
export const liveCloseCodes = {
  session_ended: 4000,
  machine_lost: 4001,
  ticket_revoked: 4002,
  protocol_error: 4003,
  viewer_stalled: 4004,
  controller_stopping: 4005,
  replaced: 4006,
  viewers_full: 4007,
} as const
export type LiveCloseReason = keyof typeof liveCloseCodes

export const createTicket = z.strictObject({
  access: z.enum(['control', 'view']).default('control'),
  ttl_seconds: z.number().int().min(5).max(300).default(30),
  /** Of the integrator's own page that it is handed to: no page of another origin can use it. Not for tickets of a cookie. */
  origin: z
    .url({ protocol: /^https?$/ })
    .max(300)
    .refine(isOrigin, 'must be an origin, such as https://app.example.com')
    .exactOptional(),
})
export const ticket = z.object({
  ticket: z.string(),
  url: z.string(),
  access: z.enum(['control', 'view']),
  /** Of the view that it opens, among the session's viewers. */
  viewer_id: viewerId,
  expires_at: z.iso.datetime(),
})
export type Ticket = z.infer<typeof ticket>

/** Somebody who sees the screen. */
export const viewer = z.object({
  id: viewerId,
  /** `control`: has keyboard and mouse, which one viewer has at a time. */
  access: z.enum(['control', 'view']),
  /** `key`: somebody whom an integrator let in. */
  by: z.enum(['account_owner', 'operator', 'key']),
  /** It was opened by whoever asks. */
  is_you: z.boolean(),
  asks_for_control: z.boolean(),
  since: z.iso.datetime(),
})
export type Viewer = z.infer<typeof viewer>

export const viewers = z.object({
  viewers: z.array(viewer),
  /** How many may look on at a time (`live.max_viewers`). */
  max_viewers: z.number().int(),
})
export type Viewers = z.infer<typeof viewers>

export const answerControl = z.strictObject({
  /** false: keyboard and mouse stay where they are. */
  give: z.boolean().default(true),
})
