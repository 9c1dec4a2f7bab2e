import type { AppError } from '@anteroom/base'
import { errorDefinitions, type Failure, type Outcome, type StageName } from '@anteroom/contract'

const outcomeOf = (reason: AppError): Exclude<Outcome, 'completed'> => {
  switch (reason.code) {
    case 'session_expired':
    case 'session_idle':
    case 'session_never_opened':
      return 'expired'
    case 'session_cancelled':
      return 'cancelled'
    default:
      return 'failed'
  }
}

/** How a session that did not complete is written down: outcome and failure, as columns. */
export function failureOf(reason: AppError, stage: StageName | null): { outcome: Outcome; failure: string } {
  const { person, hint } = errorDefinitions[reason.code]
  const failure: Failure = {
    code: reason.code,
    stage,
    message: person,
    hint,
    detail: reason.detail?.slice(0, 4000) ?? null,
  }
  return { outcome: outcomeOf(reason), failure: JSON.stringify(failure) }
}
