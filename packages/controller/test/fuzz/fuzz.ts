import { inspect } from 'node:util'
import type { Log } from '@anteroom/base'
import fc from 'fast-check'
import { operationsOf } from './api-operations.ts'
import { startFuzzedEdge } from './fuzzed-edge.ts'
import { Judge } from './judge.ts'
import { type Shot, shots } from './shots.ts'
import { type Answer, bytesOf, exchange } from './wire.ts'

export interface Figures {
  sent: number
  /** By class of status: `2xx`. */
  readonly answers: Record<string, number>
  readonly operations: number
  /** Those that succeeded at least once. */
  readonly succeeded: Set<string>
  /** Those that refused at least once. */
  readonly refused: Set<string>
}

/**
 * So many requests at a new edge, made from its own description: right ones, and ones that are wrong in one way or some.
 * @throws what is wrong with an answer, with the smallest request that fast-check finds for it
 */
export async function fuzz(seed: number, requests: number): Promise<Figures> {
  const broken: unknown[] = []
  const note = (fields: object): void => void broken.push(fields)
  const log: Log = { debug() {}, info() {}, warn() {}, error: note, child: () => log }
  const edge = await startFuzzedEdge(log)
  try {
    const operations = operationsOf(edge.document)
    const judge = new Judge(edge.document)
    const figures: Figures = {
      sent: 0,
      answers: {},
      operations: operations.length,
      succeeded: new Set(),
      refused: new Set(),
    }
    const property = fc.asyncProperty(shots(operations, edge), async (shot) => {
      const answer = await exchange(edge.port, bytesOf(shot.wire))
      count(figures, shot, answer)
      const complaint =
        judge.complaint(shot, answer) ?? (typeof answer === 'object' ? judge.namingComplaint(shot, answer) : undefined)
      const why = complaint ?? (broken.length > 0 ? 'something broke inside' : undefined)
      if (why !== undefined)
        throw new Error(`${why}\n\n${JSON.stringify(answer)}\n\n${described(shot)}${inspected(broken.splice(0))}`)
    })
    await fc.assert(property, { seed, numRuns: requests, endOnFailure: false })
    return figures
  } finally {
    await edge.stop()
  }
}

const described = ({ wire }: Shot): string => bytesOf(wire).subarray(0, 3_000).toString('latin1')
const inspected = (broken: readonly unknown[]): string =>
  broken.length === 0 ? '' : `\n\nthe log: ${inspect(broken, { depth: 6 })}`

function count(figures: Figures, { operation, wire }: Shot, answer: Answer | 'no answer' | 'silence'): void {
  figures.sent++
  const kind = typeof answer === 'string' ? answer : `${Math.floor(answer.status / 100)}xx`
  figures.answers[kind] = (figures.answers[kind] ?? 0) + 1
  if (!operation || operation.method !== wire.method) return
  if (kind === '2xx') figures.succeeded.add(operation.name)
  if (kind === '4xx') figures.refused.add(operation.name)
}
