import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCursor, encodeCursor } from './page-cursor.ts'

describe('cursor', () => {
  test('comes back as it went', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme-ascii' }),
        (createdAt, id) => {
          const cursor = encodeCursor({ createdAt, id })
          expect(cursor).toMatch(/^[\w-]+$/)
          expect(decodeCursor(cursor)).toEqual({ createdAt, id })
        },
      ),
    )
  })

  test.each(['', '%', 'e30', 'WyJhIl0', Buffer.from('[1.5,"a"]').toString('base64url'), 'a'.repeat(100_000)])(
    'what is none is refused with the field: %.20s',
    (text) => {
      expect(() => decodeCursor(text)).toThrow(
        expect.objectContaining({ code: 'invalid_request', fields: [expect.objectContaining({ pointer: 'cursor' })] }),
      )
    },
  )

  test('whatever it is, it is decoded or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((j) => Buffer.from(j).toString('base64url')),
        ),
        (text) => {
          try {
            decodeCursor(text)
          } catch (error) {
            expect(error).toMatchObject({ code: 'invalid_request' })
          }
        },
      ),
    )
  })
})
