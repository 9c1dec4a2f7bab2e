import { AppError, type Scope } from '@anteroom/base'
import type { AgentHello, AgentStatus } from '@anteroom/contract'
import type { AgentLink } from '../agent/agent.ts'

/** @throws AppError display_lost, browser_crashed: the agent has given up restarting them */
export function requireScreen({ display, browser }: Pick<AgentHello, 'display' | 'browser'>): void {
  if (display === 'lost') throw new AppError('display_lost')
  if (browser === 'crashed') throw new AppError('browser_crashed')
}

/** @throws AppError with the agent's code when the sign-in cannot go on */
export function isSignedIn(status: AgentStatus): boolean {
  requireScreen(status)
  switch (status.phase) {
    case 'idle':
    case 'opening':
    case 'waiting':
      return false
    case 'signed_in':
    case 'captured':
      return true
    case 'failed':
      throw new AppError(status.failure?.code ?? 'internal', status.failure ? { detail: status.failure.detail } : {})
    default:
      return status.phase satisfies never
  }
}

/** The person says so. Too early for the agent, while the page still loads, is no failure: it is said again at its next change. */
export async function saySignedIn(agent: AgentLink, scope: Scope): Promise<void> {
  await agent.signedIn(scope).catch((error: unknown) => {
    if (!(error instanceof AppError && error.code === 'session_not_ready')) throw error
  })
}

/** A guest whose news never end is asked ten times a second, and not as fast as it answers: this process has others to serve. */
const leastPauseMs = 100

/** What the machine says of its sign-in, at each change and once a second. Never ends by itself. @throws what `status` throws */
export async function* statusesOf(agent: Pick<AgentLink, 'status'>, scope: Scope): AsyncGenerator<AgentStatus> {
  for (let seen = 0; ; ) {
    const pause = scope.clock.delay(leastPauseMs, scope.signal)
    const status = await agent.status(seen, 1_000, scope)
    yield status
    seen = status.version
    await pause
  }
}
