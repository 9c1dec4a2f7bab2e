import { AppError } from '@anteroom/base'
import type { CreateSession, ErrorCode } from '@anteroom/contract'
import { notEnded, type Row, type Tx } from '../store/store.ts'
import type { Queue } from './queue.ts'
import { isReached } from './queue-order.ts'
import type { SessionDeps } from './session-deps.ts'

type Limited = 'subject' | 'principal' | 'provider'
type Asked = Pick<CreateSession, 'subject' | 'provider'> & { readonly principal: string; readonly project_id: string }

const codes = {
  subject: 'subject_limit_reached',
  principal: 'key_limit_reached',
  provider: 'provider_limit_reached',
} as const satisfies Record<Limited, ErrorCode>

/**
 * In the transaction that creates a session, so that of a hundred at once no more get in than may.
 * @throws AppError capacity_exhausted, subject_limit_reached, key_limit_reached, provider_limit_reached
 */
export async function requirePlace(
  tx: Tx,
  asked: Asked,
  { config: { limits }, queue }: Pick<SessionDeps, 'config'> & { readonly queue: Pick<Queue, 'secondsUntilOneEnds'> },
): Promise<void> {
  const open = await countOpen(tx, asked)
  const most = limits.max_machines + limits.max_queued
  if (open.all >= most)
    throw new AppError('capacity_exhausted', {
      detail: `${open.all} sessions are open; ${limits.max_machines} may run and ${limits.max_queued} wait (limits.max_machines, limits.max_queued)`,
      retryAfterSeconds: queue.secondsUntilOneEnds(() => true),
    })
  const settings = {
    subject: ['max_per_subject', limits.max_per_subject],
    principal: ['max_per_key', limits.max_per_key],
    provider: ['max_per_provider', limits.max_per_provider],
  } as const
  for (const limited of ['subject', 'principal', 'provider'] as const) {
    const [name, limit] = settings[limited]
    if (isReached(open[limited], limit))
      throw new AppError(codes[limited], {
        detail: `${open[limited]} are open; limits.${name} is ${limit}`,
        retryAfterSeconds: queue.secondsUntilOneEnds((session) => isOf(limited, session, asked)),
      })
  }
}

/** A subject is one of its project's. */
const isOf = (limited: Limited, one: Pick<Row<'sessions'>, Limited | 'project_id'>, asked: Asked): boolean =>
  one[limited] === asked[limited] && (limited !== 'subject' || one.project_id === asked.project_id)

/** Of the index of those that have not ended alone. Who was asked to end, or is being taken down, does not count any more. */
const countOpen = (tx: Tx, asked: Asked): Promise<Record<Limited | 'all', number>> =>
  tx
    .selectFrom('sessions')
    .select(({ fn }) => {
      const of = (column: Limited & keyof Row<'sessions'>) =>
        fn.countAll<number>().filterWhere(column, '=', asked[column])
      return [
        fn.countAll<number>().as('all'),
        of('subject').filterWhere('project_id', '=', asked.project_id).as('subject'),
        of('principal').as('principal'),
        of('provider').as('provider'),
      ]
    })
    .where(notEnded)
    .where('status', '<>', 'ending')
    .where('end_requested', 'is', null)
    .executeTakeFirstOrThrow()
