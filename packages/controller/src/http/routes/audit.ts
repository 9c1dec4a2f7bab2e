import { Readable } from 'node:stream'
import { auditAction, auditEntry, auditVerification } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { page, pageOf } from './parameters.ts'

const tags = ['operator']
const access = { scope: 'operator' } as const

const listQuery = z.strictObject({
  actor: z.string().min(1).max(256).exactOptional(),
  action: auditAction.exactOptional(),
  target: z.string().min(1).max(256).exactOptional(),
  since: z.iso.datetime().exactOptional(),
  until: z.iso.datetime().exactOptional(),
  limit: page.limit,
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'must be `next_cursor` of the page before, unchanged')
    .exactOptional(),
})

const afterSeq = z.coerce.number().int().min(0).default(0)
const exportQuery = z.strictObject({ after_seq: afterSeq })
const verifyQuery = z.strictObject({
  after_seq: afterSeq,
  /** `seq:hash` that somebody kept elsewhere. */
  checkpoint: z
    .string()
    .regex(/^\d{1,15}:[0-9a-f]{64}$/, 'must be the number of an entry, a colon and its hash')
    .exactOptional(),
})

/** Text in the description of the API, a stream in the process; streams pass the serializer by. */
const lines = z.string() as unknown as z.ZodType<Readable>

export function auditRoutes(app: HttpApp, { audit }: RouteContext): void {
  app.get(
    '/v1/audit',
    {
      config: { access },
      schema: {
        tags,
        summary: 'Who did what, newest first',
        querystring: listQuery,
        response: { 200: pageOf(auditEntry) },
      },
    },
    (request) => audit.list(request.query),
  )
  app.get(
    '/v1/audit/verification',
    {
      config: { access },
      schema: {
        tags,
        summary: 'Reads the whole audit and names the first entry that is not as it was written',
        querystring: verifyQuery,
        response: { 200: auditVerification },
      },
    },
    ({ query: { after_seq, checkpoint } }) => {
      const [seq, hash = ''] = checkpoint?.split(':') ?? []
      return audit.verify({ afterSeq: after_seq, kept: seq === undefined ? [] : [{ seq: Number(seq), hash }] })
    },
  )
  app.get(
    '/v1/audit/export',
    {
      config: { access },
      schema: {
        tags,
        summary: 'All entries as JSON lines, oldest first, and in the last line where the chain ends',
        querystring: exportQuery,
        response: {
          200: {
            description: 'Each line is an AuditEntry; the last is {"checkpoint": …}',
            content: { 'application/x-ndjson': { schema: lines } },
          },
        },
      },
    },
    async (request, reply) => {
      const after_seq = request.query.after_seq
      await audit.recordAlone({ action: 'audit.exported', target: { kind: 'audit', id: null }, details: { after_seq } })
      return reply
        .type('application/x-ndjson')
        .header('cache-control', 'no-store')
        .send(Readable.from(audit.export(after_seq)))
    },
  )
}
