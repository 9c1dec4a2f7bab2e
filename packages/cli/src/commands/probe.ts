import { AppError, durationText, Scope } from '@anteroom/base'
import type { Anteroom, Session } from '@anteroom/sdk'

export interface Probe {
  readonly outcome: 'ok' | 'failed'
  readonly session: Session
  /** Of the machine, after it was told to go. */
  readonly left: readonly string[]
}

/** Longer than any boot under emulation. */
const probeMs = 300_000
const demo = 'demo-site'

/**
 * A real session, up to a screen that was seen painted; cancelled then, and looked for. Nobody signs in.
 * @throws AppError provider_unknown when there is none to try with
 */
export async function probe(anteroom: Anteroom): Promise<Probe> {
  const { items } = await anteroom.providers()
  const provider = items.find(({ name }) => name === demo) ?? items[0]
  if (!provider) throw new AppError('provider_unknown', { detail: 'there is no provider to try a session with' })
  const { id } = await anteroom.sessions.create({ provider: provider.name, subject: 'doctor' })
  const until = (holds: (now: Session) => boolean): Promise<Session> =>
    Scope.root('probe').run({ name: 'the session of the probe', deadlineMs: probeMs }, (scope) =>
      scope.until(async () => {
        const now = await anteroom.sessions.get(id)
        return holds(now) || now.status === 'ended' ? now : undefined
      }, 100),
    )
  await until(({ status }) => status === 'ready')
  await anteroom.sessions.cancel(id)
  const ended = await until(() => false)
  const left = (await anteroom.machines()).filter(({ session_id }) => session_id === id)
  const isWell = ended.outcome === 'cancelled' && left.length === 0
  return { outcome: isWell ? 'ok' : 'failed', session: ended, left: left.map((one) => one.id) }
}

export function probeText({ outcome, session, left }: Probe): string {
  const { id, provider, stages, failure, machine_origin } = session
  const painted = stages.find(({ name }) => name === 'open') ?? stages.at(-1)
  const tookMs = Date.parse(painted?.started_at ?? session.created_at) - Date.parse(session.created_at)
  if (outcome === 'ok')
    return `✓ probe  a session with ${provider} had its screen after ${durationText(tookMs)} (${machine_origin}), and nothing of it is left`
  const why =
    failure && failure.code !== 'session_cancelled'
      ? `${failure.code} in stage ${failure.stage}`
      : `left: ${left.join(', ')}`
  return `✗ probe  ${id}: ${why}\n         → npm run anteroom -- explain ${id}`
}
