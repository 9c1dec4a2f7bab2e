import { describe, expect, test } from 'vitest'
import { Scope } from './scope.ts'

const deferred = <T>() => Promise.withResolvers<T>()

describe('Scope', () => {
  test('runs deferred cleanups in reverse, once, and no undo, when the operation succeeds', async () => {
    const calls: string[] = []
    const value = await Scope.root('test').run({ name: 'op' }, async (scope) => {
      scope.defer(() => void calls.push('first'))
      scope.defer(() => void calls.push('second'))
      scope.undo(() => void calls.push('undo'))
      return 7
    })
    expect(value).toBe(7)
    expect(calls).toEqual(['second', 'first'])
  })

  test('undoes what was done when the operation fails, and gives the error of the operation', async () => {
    const calls: string[] = []
    const failing = Scope.root('test').run({ name: 'op' }, async (scope) => {
      scope.undo(() => void calls.push('undo'))
      throw new Error('broken')
    })
    await expect(failing).rejects.toThrow('broken')
    expect(calls).toEqual(['undo'])
  })

  test('rejects at the deadline and undoes what completes afterwards', async () => {
    const calls: string[] = []
    const gate = deferred<void>()
    const late = deferred<void>()
    const slow = Scope.root('test').run({ name: 'slow thing', deadlineMs: 5 }, async (scope) => {
      await gate.promise
      scope.undo(() => {
        calls.push('undone')
        late.resolve()
      })
    })
    await expect(slow).rejects.toMatchObject({ code: 'deadline_exceeded', detail: 'slow thing' })
    expect(calls).toEqual([])
    gate.resolve()
    await late.promise
    expect(calls).toEqual(['undone'])
  })

  test('cancelling a scope ends what runs below it', async () => {
    const root = Scope.root('root')
    const never = root.run({ name: 'below' }, () => new Promise(() => {}))
    root.cancel()
    await expect(never).rejects.toMatchObject({ code: 'session_cancelled' })
  })

  test('what an operation left running ends with it', async () => {
    let asked = 0
    let left: Promise<unknown> = Promise.resolve()
    await Scope.root('test').run({ name: 'op' }, async (scope) => {
      left = scope.until(() => void ++asked, 1)
      left.catch(() => {})
    })
    await expect(left).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(asked).toBe(1)
  })

  test('a promise that is raced when the scope is over already may fail unheard', async () => {
    const scope = Scope.root('test')
    scope.cancel()
    const unheard: unknown[] = []
    const hear = (reason: unknown): void => void unheard.push(reason)
    process.on('unhandledRejection', hear)
    try {
      const late = new Promise((_, reject) => setImmediate(() => reject(new Error('late'))))
      await expect(scope.race(late)).rejects.toMatchObject({ code: 'session_cancelled' })
      // Node tells of it after the turn in which it was rejected.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      expect(unheard).toEqual([])
    } finally {
      process.off('unhandledRejection', hear)
    }
  })

  test('a failing cleanup does not hide the others', async () => {
    const calls: string[] = []
    await Scope.root('test').run({ name: 'op' }, async (scope) => {
      scope.defer(() => void calls.push('ran'))
      scope.defer(() => {
        throw new Error('cleanup broke')
      })
    })
    expect(calls).toEqual(['ran'])
  })

  test('until gives the first answer that is not undefined', async () => {
    let asked = 0
    const answer = await Scope.root('test').run({ name: 'op', deadlineMs: 5000 }, (scope) =>
      scope.until(() => (++asked === 3 ? 'here' : undefined), 1),
    )
    expect(answer).toBe('here')
    expect(asked).toBe(3)
  })
})
