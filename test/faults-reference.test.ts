import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrorCode } from '@anteroom/contract'
import { expect, test } from 'vitest'
import { forReal, readLines } from './faults/harness/reference.ts'

const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${letter}${index + 1}`)

/** What went wrong before and must not again: golden image; host, monitor, network; session, store, controller. */
const plan = [...numbered('G', 7), ...numbered('H', 13), ...numbered('S', 12)]

const lines = readLines(readFileSync(join(import.meta.dirname, '../docs/reference/faults.md'), 'utf8'))

test('docs/reference/faults.md tells of every line of the plan', () => {
  expect(plan.filter((id) => lines.every((line) => line.id !== id))).toEqual([])
})

test('no fault leaves anything behind or is noticed by others, and each gives a code of the list', () => {
  const made = lines.filter(({ how }) => how === forReal)
  expect(made.filter(({ left, affected }) => left !== '0' || affected !== '0')).toEqual([])
  const codes = lines.flatMap(({ given }) => /^\[`(\w+)`\]/.exec(given)?.[1] ?? [])
  expect(codes.filter((code) => !isErrorCode(code))).toEqual([])
  // What is not made for real says why.
  expect(lines.filter(({ how }) => how !== forReal && how.length < 20)).toEqual([])
  expect(lines.filter(({ given }) => given !== 'nothing goes wrong' && !given.startsWith('[`'))).toEqual([])
})
