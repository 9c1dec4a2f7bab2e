import { createServer } from 'node:net'
import { Scope } from '@anteroom/base'
import { afterEach, describe, expect, test } from 'vitest'
import { openUserSlots } from './user-slots.ts'

const scope = Scope.root('test')
const slots = openUserSlots({ tag: 'usrtst', pool: '127.215.0.0/30' })
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

describe('user slots', () => {
  test('each has an address of its own inside the pool', () => {
    expect(slots.size).toBe(3)
    expect([0, 1, 2].map((index) => slots.at(index).ip)).toEqual(['127.215.0.1', '127.215.0.2', '127.215.0.3'])
    expect(() => slots.at(3)).toThrow('no user slot 3')
  })

  test('a free address can be prepared again and again', async () => {
    await slots.prepare(slots.at(0), scope)
    await slots.prepare(slots.at(0), scope)
  })

  test('a port that another process holds is named', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(5900, '127.215.0.2', resolve))
    cleanups.push(() => other.close())
    await expect(slots.prepare(slots.at(1), scope)).rejects.toMatchObject({
      code: 'network_setup_failed',
      detail: '127.215.0.2:5900 is used by another process',
    })
  })

  test('a pool that holds 127.0.0.1 is refused', () => {
    expect(() => openUserSlots({ tag: 'usrtst', pool: '127.0.0.0/16' })).toThrow('127.0.0.1')
  })
})
