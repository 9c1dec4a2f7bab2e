import { errorDefinitions, type ProviderSummary, type QueuePlace, type Session } from '@anteroom/contract'
import { stageWords } from './stage-words.ts'

/** Which of its four faces the hosted page shows. */
export function faceOf({ status }: Pick<Session, 'status'>): 'starting' | 'live' | 'finishing' | 'over' {
  switch (status) {
    case 'queued':
    case 'starting':
    case 'vm_created':
      return 'starting'
    case 'ready':
      return 'live'
    case 'capturing':
    case 'ending':
      return 'finishing'
    case 'ended':
      return 'over'
    default:
      return status satisfies never
  }
}

/** What is going on, in one sentence. */
export function headline(session: Session, provider: Pick<ProviderSummary, 'title'>): string {
  switch (faceOf(session)) {
    case 'starting': {
      if (session.queue?.reason) return queueWords(session.queue)
      const running = session.stages.findLast((stage) => stage.duration_ms === null)
      return running ? stageWords[running.name].running : 'Preparing a private computer'
    }
    case 'live':
      return 'The private computer is ready for you to sign in'
    case 'finishing':
      return session.status === 'capturing' ? stageWords.capture.running : stageWords.teardown.running
    case 'over':
      return outcomeTitle(session, provider)
  }
}

/** Where somebody stands who waits for a machine, and for how long yet. */
export function queueWords({ position, estimated_wait_seconds, reason }: QueuePlace): string {
  if (reason === 'subject_limit_reached') return 'Finish or cancel one of your other sign-ins first'
  const place = position === 1 ? 'You are next' : `You are number ${position} in line`
  return estimated_wait_seconds === null ? place : `${place}; ${aboutTime(estimated_wait_seconds)}`
}

function aboutTime(seconds: number): string {
  if (seconds < 50) return 'less than a minute'
  const minutes = Math.round(seconds / 60)
  if (minutes < 2) return 'about a minute'
  return minutes < 90 ? `about ${minutes} minutes` : `about ${Math.round(minutes / 60)} hours`
}

export function outcomeTitle(session: Session, provider: Pick<ProviderSummary, 'title'>): string {
  switch (session.outcome) {
    case 'completed':
      return `${provider.title} is connected`
    case 'expired':
      return 'Time is up'
    case 'cancelled':
      return 'This sign-in was cancelled'
    case 'failed':
    case null:
      return 'This sign-in did not work'
    default:
      return session.outcome satisfies never
  }
}

/** What the account owner can do after a session that did not complete. */
export function advice({ failure }: { failure: Pick<NonNullable<Session['failure']>, 'code'> | null }): string {
  if (failure && !errorDefinitions[failure.code].retryable)
    return 'Trying again will not help yet. Give the code at the end of this page to whoever runs this service.'
  return 'Go back to where you came from and connect once more.'
}

/** How long the machine took to go, once it is gone. */
export const teardownMs = (session: Session): number | null =>
  session.stages.findLast((stage) => stage.name === 'teardown')?.duration_ms ?? null
