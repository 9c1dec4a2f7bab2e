import type { Scope } from '@anteroom/base'
import { type Child, startChild } from '../child.ts'
import { descendants, pssBytes } from '../process-usage.ts'
import { type RelayName, startRelay } from './relays.ts'
import type { Speech, ViewersQuestion } from './viewers-process.ts'

/** A machine, a relay and viewers, each a process of its own and new. */
export interface Stage {
  readonly machine: Child
  readonly viewers: Omit<Child, 'ask'> & { ask(question: ViewersQuestion): Promise<unknown> }
  enter(count: number): Promise<void>
  /** One more viewer, in a process of its own; gives the milliseconds from each of so many keys to its echo. */
  type(times: number): Promise<number[]>
  /** Of the relay; none when the viewers are at the machine itself. */
  processes(): Promise<number[]>
  memoryMb(): Promise<number>
}

const module = (name: string): URL => new URL(name, import.meta.url)

export async function onStage<T>(
  way: RelayName | 'straight',
  scope: Scope,
  measure: (stage: Stage, scope: Scope) => Promise<T>,
): Promise<T> {
  return await scope.run({ name: `bench of ${way}`, deadlineMs: 120_000 }, async (inner) => {
    const { child: machine, ready } = await startChild(module('machine-process.ts'), [], inner)
    const straight = { pid: undefined, port: ready as number, speech: 'tcp' as Speech }
    const { pid, port, speech } = way === 'straight' ? straight : await startRelay(way, straight.port, inner)
    const { child: viewers } = await startChild(module('viewers-process.ts'), [], inner)
    const { child: typist } = await startChild(module('viewers-process.ts'), [], inner)
    const processes = (): Promise<number[]> => descendants(pid === undefined ? [] : [pid])
    return await measure(
      {
        ...{ machine, viewers, processes },
        memoryMb: async () => (await pssBytes(await processes())) / 1e6,
        enter: async (count) => void (await viewers.ask({ do: 'enter', port, speech, count })),
        async type(times) {
          await typist.ask({ do: 'enter', port, speech, count: 1 })
          await typist.ask({ do: 'type', times: times / 4 })
          return (await typist.ask({ do: 'type', times })) as number[]
        },
      },
      inner,
    )
  })
}
