import type { QueueReason } from '@anteroom/contract'
import type { Config } from '../config.ts'

/** Who asks for a machine, or has one. */
export interface Asker {
  readonly id: string
  /** The API key that created the session; null: it is from before keys were written down. */
  readonly principal: string | null
  /** A subject is one of its project's. */
  readonly project_id: string
  readonly subject: string
  readonly provider: string
}

type OpenLimits = Pick<Config['limits'], 'max_per_subject' | 'max_per_key' | 'max_per_provider'>

export interface Standing<W extends Asker> {
  /** In the order of asking. */
  readonly waiting: readonly W[]
  readonly holding: readonly Asker[]
  readonly limits: OpenLimits
  /** How many were admitted before. */
  readonly turn: number
  /** By key, the turn in which one of its was admitted last. */
  readonly served: ReadonlyMap<string | null, number>
}

export interface Line<W extends Asker> {
  /** In the order in which they get machines, as far as nobody comes or goes meanwhile. */
  readonly inTurn: W[]
  /** Those who stand aside: a limit that was lowered since they came. They keep nobody back. */
  readonly barred: (readonly [W, QueueReason])[]
}

/** Every fourth machine is for whoever has waited longest. */
export const oldestEvery = 4

/**
 * A machine goes to the API key that has the fewest, of several to the one whose turn is longest ago, and there to whoever asked
 * first: a key that asks for ninety waits for its own, and another's one request goes before them. That alone could keep somebody
 * waiting for ever, behind keys that come with one request each; so every fourth machine goes to whoever asked first of all, and who
 * had n before them waits for 4 (n + 1) at the most.
 */
export function lineUp<W extends Asker>({ waiting, holding, limits, turn, served }: Standing<W>): Line<W> {
  const tally = new Tally(limits)
  for (const asker of holding) tally.add(asker)
  const age = new Map(waiting.map(({ id }, index) => [id, index]))
  const lastTurns = new Map(served)
  const queues = [...Map.groupBy(waiting, ({ principal }) => principal).values()].map((queue) => queue.toReversed())
  const line: Line<W> = { inTurn: [], barred: [] }
  /** The first of a key's who is not kept back by a limit. */
  const headOf = (queue: W[]): W | undefined => {
    for (let head = queue.at(-1); head; head = queue.at(-1)) {
      const reason = tally.bars(head)
      if (!reason) return head
      line.barred.push([head, reason])
      queue.pop()
    }
    return undefined
  }
  const before = (a: W, b: W): number =>
    tally.ofKey(a.principal) - tally.ofKey(b.principal) ||
    (lastTurns.get(a.principal) ?? -1) - (lastTurns.get(b.principal) ?? -1)
  const older = (a: W, b: W): number => (age.get(a.id) ?? 0) - (age.get(b.id) ?? 0)
  for (let place = turn; ; place++) {
    const isForOldest = place % oldestEvery === oldestEvery - 1
    let chosen: { readonly head: W; readonly queue: W[] } | undefined
    for (const queue of queues) {
      const head = headOf(queue)
      if (head && (!chosen || ((!isForOldest && before(head, chosen.head)) || older(head, chosen.head)) < 0))
        chosen = { head, queue }
    }
    if (!chosen) return line
    const { head, queue } = chosen
    queue.pop()
    tally.add(head)
    lastTurns.set(head.principal, place)
    line.inTurn.push(head)
  }
}

/** How many machines each has, those ahead in the line included. */
class Tally {
  readonly #limits: OpenLimits
  readonly #of = {
    subject: new Map<string, number>(),
    principal: new Map<string | null, number>(),
    provider: new Map<string, number>(),
  }

  constructor(limits: OpenLimits) {
    this.#limits = limits
  }

  add({ project_id, subject, principal, provider }: Asker): void {
    const more = <K>(counts: Map<K, number>, key: K) => counts.set(key, (counts.get(key) ?? 0) + 1)
    more(this.#of.subject, subjectOf(project_id, subject))
    more(this.#of.principal, principal)
    more(this.#of.provider, provider)
  }

  ofKey = (principal: string | null): number => this.#of.principal.get(principal) ?? 0

  bars({ project_id, subject, principal, provider }: Asker): QueueReason | undefined {
    const { max_per_subject, max_per_key, max_per_provider } = this.#limits
    if (isReached(this.#of.subject.get(subjectOf(project_id, subject)), max_per_subject)) return 'subject_limit_reached'
    if (principal !== null && isReached(this.ofKey(principal), max_per_key)) return 'key_limit_reached'
    return isReached(this.#of.provider.get(provider), max_per_provider) ? 'provider_limit_reached' : undefined
  }
}

const subjectOf = (projectId: string, subject: string): string => `${projectId} ${subject}`

export const isReached = (count: number | undefined, limit: number | 'none'): boolean =>
  limit !== 'none' && (count ?? 0) >= limit
