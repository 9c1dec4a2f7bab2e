import type { AuditCheckpoint, AuditEntry, AuditVerification } from '@anteroom/contract'
import { beginning, hashOf } from './canonical.ts'

type Wrong = NonNullable<AuditVerification['first_wrong']>
export type Place = Pick<AuditCheckpoint, 'seq' | 'hash'>

export interface Expectations {
  /** Where the walk begins: the entry before the first one. Left out: the beginning of the chain. */
  readonly after?: Place
  /** Where the chain says that it ends; asked for at the end of the walk, where a file says it. */
  readonly head: () => Place | undefined
  /** What somebody kept elsewhere. */
  readonly kept?: readonly Place[]
}

export interface Walked {
  /** Those before the first wrong one. */
  readonly entries: number
  /** The first of them. */
  readonly from: number | null
  readonly first_wrong: Wrong | null
}

/** Walks the entries in the order in which they are given; names the first that is not as it was written. */
export async function verifyChain(
  entries: AsyncIterable<AuditEntry>,
  { after = { seq: 0, hash: beginning }, head, kept = [] }: Expectations,
): Promise<Walked> {
  let last = after
  let count = 0
  let from: number | null = null
  for await (const entry of entries) {
    const wrong = whatIsWrong(entry, last, kept)
    if (wrong) return { entries: count, from, first_wrong: wrong }
    from ??= entry.seq
    last = { seq: entry.seq, hash: entry.hash }
    count++
  }
  return { entries: count, from, first_wrong: atTheEnd(last, head(), kept) }
}

function whatIsWrong(entry: AuditEntry, last: Place, kept: readonly Place[]): Wrong | undefined {
  const { seq } = entry
  const wrong = (problem: Wrong['problem'], found: string): Wrong => ({ seq, problem, found })
  if (seq <= last.seq) return wrong('reordered', `entry ${seq} comes after entry ${last.seq}`)
  if (seq > last.seq + 1) return { ...wrong('missing', missing(last.seq + 1, seq - 1)), seq: last.seq + 1 }
  if (hashOf(entry) !== entry.hash) return wrong('changed', `what entry ${seq} says is not what its hash was made of`)
  if (entry.previous_hash !== last.hash)
    return wrong('unlinked', `entry ${seq} was written after another entry than the one that is before it now`)
  const known = kept.find((place) => place.seq === seq)
  if (known && known.hash !== entry.hash)
    return wrong(
      'rewritten',
      `entry ${seq} is not the one that the checkpoint knows: up to there the chain was made anew`,
    )
  if (entry.action === 'audit.damaged')
    return wrong('noted', `the controller found damage before it wrote entry ${seq}: ${entry.details.found}`)
  return undefined
}

function atTheEnd(last: Place, head: Place | undefined, kept: readonly Place[]): Wrong | null {
  if (!head && last.seq > 0)
    return { seq: last.seq, problem: 'head_missing', found: 'what says where the chain ends is not there' }
  const furthest = Math.max(head?.seq ?? 0, ...kept.map(({ seq }) => seq))
  if (furthest > last.seq)
    return { seq: last.seq + 1, problem: 'cut', found: `${missing(last.seq + 1, furthest)} from the end` }
  if (head && head.hash !== last.hash)
    return { seq: last.seq, problem: 'unlinked', found: `entry ${last.seq} is not the one that the chain ends with` }
  return null
}

const missing = (from: number, to: number): string =>
  from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`
