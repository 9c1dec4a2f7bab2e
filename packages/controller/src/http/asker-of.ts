import type { AuditActor } from '@anteroom/contract'
import type { FastifyInstance } from 'fastify'
import type { Principal } from '../access/access.ts'
import { askedBy } from '../audit/audit.ts'

/** What a request causes is written down as its principal's. Registered after whoever says who that is. */
export function writeDownWhoAsks(app: FastifyInstance): void {
  app.addHook('preHandler', (request, _reply, done) =>
    askedBy({ actor: actorOf(request.principal), requestId: request.id, clientAddress: request.ip }, done),
  )
}

function actorOf(principal: Principal | null): AuditActor {
  switch (principal?.kind) {
    case undefined:
      return { kind: 'nobody', id: null }
    case 'key':
      return { kind: 'key', id: principal.id }
    case 'operator':
      return { kind: 'operator', id: principal.person?.subject ?? null }
    case 'visitor':
      return { kind: 'visitor', id: principal.sessionId }
    default:
      return principal satisfies never
  }
}
