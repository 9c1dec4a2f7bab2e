import { z } from 'zod'
import { isOrigin } from './origin.ts'

/** `idp.example.com` or `*.example.com` (every host below it, and the host itself). No ports, no schemes. */
export const hostPattern = z
  .string()
  .max(253)
  .regex(
    /^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
    'must be a host name such as app.example.com or *.example.com',
  )

const httpUrl = z.url({ protocol: /^https?$/ }).max(2000)
const origin = httpUrl.refine(isOrigin, 'must be an origin such as https://app.example.com')

const egress = z.strictObject({
  allow: z.array(hostPattern).min(1).max(200),
  /** Fixed addresses. The only way to reach a private address: the operator names host and address here. */
  hosts: z.record(hostPattern, z.union([z.ipv4(), z.ipv6()])).optional(),
})

const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and dashes, at most 63'),
  title: z.string().trim().min(1).max(80),
  egress,
}

export const oauth2Provider = z
  .strictObject({
    ...common,
    kind: z.literal('oauth2'),
    issuer: httpUrl.optional(),
    authorization_endpoint: httpUrl.optional(),
    token_endpoint: httpUrl.optional(),
    client_id: z.string().min(1).max(500),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/))
      .min(1)
      .max(50),
    /** Extra parameters of the authorization request, for example `prompt: consent`. */
    authorization_params: z.record(z.string(), z.string()).optional(),
    capture: z.strictObject({ tokens: z.literal(true) }),
  })
  .refine((p) => p.issuer !== undefined || (p.authorization_endpoint !== undefined && p.token_endpoint !== undefined), {
    message: 'needs either issuer or both authorization_endpoint and token_endpoint',
    path: ['issuer'],
  })

/** One sign that the person is signed in. `url` may end in `*`. */
export const successRule = z.union([
  z.strictObject({ cookie: z.string().min(1) }),
  z.strictObject({ url: z.string().min(1).max(2000) }),
])

export const websiteProvider = z.strictObject({
  ...common,
  kind: z.literal('website'),
  start_url: httpUrl,
  /** Without rules the person says when they are signed in. */
  success: z
    .union([z.strictObject({ any: z.array(successRule).min(1) }), z.strictObject({ all: z.array(successRule).min(1) })])
    .optional(),
  capture: z.strictObject({
    cookies: z.array(hostPattern).max(50).default([]),
    storage: z.array(origin).max(50).default([]),
  }),
})

export const providerDefinition = z.discriminatedUnion('kind', [oauth2Provider, websiteProvider])
export type ProviderDefinition = z.infer<typeof providerDefinition>
export type Oauth2Provider = z.infer<typeof oauth2Provider>
export type WebsiteProvider = z.infer<typeof websiteProvider>

/** What GET /v1/providers shows. */
export const providerSummary = z.object({
  name: z.string(),
  title: z.string(),
  kind: z.enum(['oauth2', 'website']),
  /** The address that will open. */
  opens: z.string(),
  /** What will be captured, in words for the account owner. */
  captures: z.array(z.string()),
  /** The built-in demonstration provider? */
  demo: z.boolean(),
})
export type ProviderSummary = z.infer<typeof providerSummary>
