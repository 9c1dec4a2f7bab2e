/** Processes of a benchmark that can be asked things: the parent's half and the child's. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Scope } from '@anteroom/base'

export interface Child {
  readonly pid: number
  ask(question: unknown): Promise<unknown>
  stop(): Promise<void>
}

/** Starts a module and waits for its first word; it is stopped when the scope ends, at the latest. */
export async function startChild(
  module: URL,
  args: readonly string[],
  scope: Scope,
  nodeOptions: readonly string[] = [],
): Promise<{ child: Child; ready: unknown }> {
  const child = fork(module, args, { execArgv: [...nodeOptions], serialization: 'advanced' })
  const ended = once(child, 'exit')
  const failed = ended.then(([code, signal]) => {
    throw new Error(`${module.pathname} ended (${signal ?? code})`)
  })
  failed.catch(() => {})
  const answer = async (): Promise<unknown> => {
    const [message] = await scope.race(Promise.race([once(child, 'message'), failed]))
    return message
  }
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
  }
  scope.defer(stop)
  const ready = await answer()
  const ask = async (question: unknown): Promise<unknown> => {
    child.send(question as object)
    return await answer()
  }
  return { child: { pid: child.pid ?? 0, ask, stop }, ready }
}

/** In the child: says `ready`, then answers each question with what `answer` makes of it. */
export function answerParent<Question>(ready: unknown, answer: (question: Question) => Promise<unknown>): void {
  process.on('message', (question: Question) => {
    void answer(question).then((value) => process.send?.(value ?? null))
  })
  process.on('disconnect', () => process.exit())
  process.send?.(ready)
}
