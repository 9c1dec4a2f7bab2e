import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Asker, lineUp, oldestEvery } from './queue-order.ts'

const limits = { max_per_subject: 'none', max_per_key: 'none', max_per_provider: 'none' } as const

let made = 0
const asker = (principal: string | null, over: Partial<Asker> = {}): Asker => {
  made++
  return { id: `ses_${made}`, principal, project_id: 'prj_a', subject: `subject ${made}`, provider: 'idp', ...over }
}
const many = (count: number, principal: string): Asker[] => Array.from({ length: count }, () => asker(principal))
const keysOf = (line: readonly Asker[]): string => line.map(({ principal }) => principal).join('')

describe('machines go', () => {
  const order = (
    waiting: readonly Asker[],
    holding: readonly Asker[] = [],
    turn = 0,
    served: [string, number][] = [],
  ): string => keysOf(lineUp({ waiting, holding, limits, turn, served: new Map(served) }).inTurn)

  test('among equals in the order of asking', () => {
    expect(order([asker('b'), asker('a'), asker('c')])).toBe('bac')
    expect(order([asker(null), asker(null)])).toBe('')
  })

  test('to the key that has fewest, those ahead in the line included', () => {
    expect(order([...many(3, 'a'), ...many(2, 'b')])).toBe('abaab')
    expect(order([...many(2, 'a'), ...many(2, 'b')], many(2, 'b'))).toBe('aabb')
  })

  test('of several to the one whose turn is longest ago', () => {
    expect(
      order([asker('a'), asker('b'), asker('c')], [], 0, [
        ['a', 7],
        ['b', 5],
      ]),
    ).toBe('cba')
  })

  test('every fourth to whoever asked first, however many its key has', () => {
    expect(order([...many(2, 'a'), ...many(4, 'b')], many(9, 'a'))).toBe('bbbaba')
    expect(order([...many(2, 'a'), ...many(4, 'b')], many(9, 'a'), 3)).toBe('abbbab')
  })
})

describe('a limit that was lowered', () => {
  test.each([
    [{ max_per_subject: 1 }, { subject: 'ada' }, 'subject_limit_reached'],
    [{ max_per_key: 1 }, { principal: 'a' }, 'key_limit_reached'],
    [{ max_per_provider: 1 }, { provider: 'one' }, 'provider_limit_reached'],
  ] as const)('keeps back whom it is for and nobody else: %j', (lowered, alike, reason) => {
    const [first, second] = [asker('a', alike), asker('a', alike)]
    const other = asker('b')
    const line = lineUp({
      ...{ waiting: [first, second, other], holding: [asker('a', alike)] },
      ...{ limits: { ...limits, ...lowered }, turn: 0, served: new Map() },
    })
    expect(line.inTurn).toEqual([other])
    expect(line.barred).toEqual([
      [first, reason],
      [second, reason],
    ])
  })

  test('of a subject is not that of the same name in another project', () => {
    const [ada, other] = [asker('a', { subject: 'ada' }), asker('b', { subject: 'ada', project_id: 'prj_b' })]
    const lowered = { ...limits, max_per_subject: 1 }
    const line = lineUp({ waiting: [other], holding: [ada], limits: lowered, turn: 0, served: new Map() })
    expect(line).toEqual({ inTurn: [other], barred: [] })
  })

  test('counts those ahead, too', () => {
    const alike = many(3, 'a').map((each) => ({ ...each, subject: 'ada' }))
    const lowered = { ...limits, max_per_subject: 2 }
    const line = lineUp({ waiting: alike, holding: [], limits: lowered, turn: 0, served: new Map() })
    expect(line.inTurn).toEqual(alike.slice(0, 2))
    expect(line.barred).toEqual([[alike[2], 'subject_limit_reached']])
  })
})

/** A host over a while: who comes, and which machine becomes free, in any order. */
interface Came {
  readonly asker: Asker
  /** How many waited when it came. */
  readonly before: number
  readonly afterAdmissions: number
}

class Host {
  readonly machines: number
  waiting: Asker[] = []
  holding: Asker[] = []
  readonly served = new Map<string | null, number>()
  readonly came = new Map<string, Came>()
  readonly admitted: { readonly came: Came; readonly admissionsMeanwhile: number }[] = []

  constructor(machines: number) {
    this.machines = machines
  }

  comes(next: Asker): void {
    this.came.set(next.id, { asker: next, before: this.waiting.length, afterAdmissions: this.admitted.length })
    this.waiting.push(next)
    this.fill()
  }

  leaves(which: number): void {
    if (this.holding.length === 0) return
    this.holding.splice(which % this.holding.length, 1)
    this.fill()
  }

  fill(): void {
    while (this.holding.length < this.machines) {
      const turn = this.admitted.length
      const { waiting, holding, served } = this
      const [next] = lineUp({ waiting, holding, limits, turn, served }).inTurn
      const came = next && this.came.get(next.id)
      if (!came) return
      this.waiting = this.waiting.filter((each) => each !== next)
      this.holding.push(next)
      this.served.set(next.principal, turn)
      this.admitted.push({ came, admissionsMeanwhile: turn - came.afterAdmissions })
    }
  }
}

const story = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ comes: fc.constantFrom('a', 'a', 'a', 'b', 'c', 'd', 'e') }) },
    { weight: 2, arbitrary: fc.record({ leaves: fc.nat(20) }) },
  ),
  { minLength: 20, maxLength: 200 },
)

const tell = (machines: number, steps: typeof story extends fc.Arbitrary<infer S> ? S : never): Host => {
  const host = new Host(machines)
  for (const step of steps)
    if ('comes' in step) host.comes(asker(step.comes))
    else host.leaves(step.leaves)
  return host
}

describe('whoever comes and goes', () => {
  test('nobody starves: with n before them they wait for 4 (n + 1) admissions at the most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), story, (machines, steps) => {
        const host = tell(machines, steps)
        for (let left = 0; host.waiting.length > 0; left++) host.leaves(left)
        expect(host.admitted.length).toBe(host.came.size)
        for (const { came, admissionsMeanwhile } of host.admitted)
          expect(admissionsMeanwhile).toBeLessThan(oldestEvery * (came.before + 1))
      }),
      { seed: 20_240_229 },
    )
  })

  test('nobody of one key goes before somebody of it who came earlier', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), story, (machines, steps) => {
        const order = tell(machines, steps).admitted.map(({ came }) => came.asker)
        for (const key of 'abcde') {
          const ids = order.filter(({ principal }) => principal === key).map(({ id }) => Number(id.slice(4)))
          expect(ids).toEqual(ids.toSorted((a, b) => a - b))
        }
      }),
      { seed: 20_240_229 },
    )
  })

  test('a key that asks for ninety delays the one request of another by one machine at the most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(20), { maxLength: 80 }), (machines, leaving) => {
        const host = new Host(machines)
        for (const each of many(90, 'flood')) host.comes(each)
        for (const which of leaving) host.leaves(which)
        const single = asker('single')
        host.comes(single)
        for (let left = 0; host.waiting.includes(single); left++) host.leaves(left)
        const { admissionsMeanwhile } = host.admitted.find(({ came }) => came.asker === single) ?? {}
        expect(admissionsMeanwhile).toBeLessThanOrEqual(1)
      }),
      { seed: 20_240_229 },
    )
  })
})
