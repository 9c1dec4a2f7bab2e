import { AppError } from '@anteroom/base'
import type { AgentHello, AgentStatus } from '@anteroom/contract'

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
