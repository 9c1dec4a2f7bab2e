import {
  apiKey,
  apiKeyWithSecret,
  auditEntry,
  auditVerification,
  connection,
  createdSession,
  credential,
  diagnosis,
  doctorReport,
  image,
  type KeyScope,
  keyScopes,
  machine,
  poolStatus,
  problem,
  project,
  providerSummary,
  session,
  sessionEgress,
  sessionEvent,
  sessionLog,
  ticket,
  vaultRotation,
  viewers,
} from '@anteroom/contract'
import fastifySwagger from '@fastify/swagger'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { operatorCookie, visitorCookie } from './cookies.ts'
import { problemType } from './problem.ts'
import type { RouteAccess } from './route-table.ts'

/** What the description names once and refers to; `problem` and `errorCode` name themselves. */
const components = {
  Session: session,
  CreatedSession: createdSession,
  SessionEvent: sessionEvent,
  Diagnosis: diagnosis,
  SessionEgress: sessionEgress,
  SessionLog: sessionLog,
  Ticket: ticket,
  Viewers: viewers,
  Connection: connection,
  Credential: credential,
  Project: project,
  Key: apiKey,
  KeyWithSecret: apiKeyWithSecret,
  Provider: providerSummary,
  Machine: machine,
  Pool: poolStatus,
  Image: image,
  DoctorReport: doctorReport,
  AuditEntry: auditEntry,
  AuditVerification: auditVerification,
  VaultRotation: vaultRotation,
}
for (const [id, schema] of Object.entries(components)) z.globalRegistry.add(schema, { id })

const description = `Every sign-in gets its own disposable computer. Errors are RFC 9457 problems with a closed list of codes.`

const scopeList = keyScopes.map((scope) => `\`${scope}\``).join(', ')

/** OpenAPI 3.1 from the schemas of the routes. Registered before them. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Anteroom', version: '1', description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: `An API key. Scopes: ${scopeList}.` },
          operator: { type: 'apiKey', in: 'cookie', name: operatorCookie('https:') },
          visitor: { type: 'apiKey', in: 'cookie', name: visitorCookie('https:', '{id}') },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutInputs(jsonSchemaTransformObject(document)),
  })
  // Every operation can end in a problem, and says what it needs.
  app.addHook('onRoute', (route) => {
    const access = route.config?.access
    if (!route.schema || route.schema.hide || !access) return
    route.schema = {
      ...route.schema,
      ...security(access),
      response: {
        ...(route.schema.response as object | undefined),
        default: { description: 'Problem', content: { [problemType]: { schema: problem } } },
      },
    }
  })
}

/** The transform adds a twin of every component for requests; these are answers only. */
function withoutInputs(document: ReturnType<typeof jsonSchemaTransformObject>): typeof document {
  const schemas = 'components' in document ? document.components?.schemas : undefined
  for (const name of Object.keys(components).concat('Problem', 'ErrorCode')) delete schemas?.[`${name}Input`]
  return document
}

function security({ scope, visitor, keysOnly }: RouteAccess): FastifySchema {
  if (scope === 'public') return { security: [] }
  const scopes: KeyScope[] = [scope]
  return {
    security: [{ key: scopes }, ...(keysOnly ? [] : [{ operator: [] }]), ...(visitor ? [{ visitor: [] }] : [])],
  }
}
