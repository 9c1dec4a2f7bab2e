import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, silentLog, systemClock } from '@anteroom/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { endOfText } from './end-of-text.ts'
import { createEvidence, type Evidence } from './evidence.ts'

let home: string
const open = (limits = { max_age_days: 30, max_total_mib: 1 }): Evidence =>
  createEvidence({ config: { home, evidence: limits }, clock: systemClock, log: silentLog })
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'anteroom-evidence-'))
})
afterEach(() => rm(home, { recursive: true }))

test('what was kept can be read, also by the next controller; what was empty is not there', async () => {
  const id = newId('session')
  await open().keep(id, { console: 'a\n', vmm: '' })
  expect(await open().read(id)).toEqual({ console: 'a\n' })
  expect(open().fileOf(id, 'console')).toBe(join(home, 'evidence', id, 'console.log'))
  expect(await open().read(newId('session'))).toEqual({})
})

test('a second farewell, after a crash in the first, replaces nothing', async () => {
  const id = newId('session')
  await open().keep(id, { agent: 'all of it' })
  await open().keep(id, { agent: 'less' })
  expect(await open().read(id)).toEqual({ agent: 'all of it' })
  expect(await readdir(join(home, 'evidence'))).toEqual([id])
})

test('a crash in the middle of keeping leaves nothing that could be read', async () => {
  const id = newId('session')
  // As it would be: the directory without its name.
  await open().keep(id, { agent: 'whole' })
  await rm(join(home, 'evidence', id), { recursive: true })
  expect(await open().read(id)).toEqual({})
  await open().keep(id, { agent: 'again' })
  expect(await open().read(id)).toEqual({ agent: 'again' })
})

test('each text is bounded: its end is kept, in whole lines', async () => {
  const id = newId('session')
  await open().keep(id, { vmm: `${'first\n'.repeat(100_000)}last\n` })
  const { vmm = '' } = await open().read(id)
  expect(vmm.length).toBeLessThanOrEqual(16 * 1024)
  expect(vmm).toMatch(/^\[what was before is not kept\]\nfirst\n/)
  expect(vmm).toMatch(/\nlast\n$/)
})

describe('collecting', () => {
  const daysAgo = async (id: string, days: number): Promise<void> => {
    const at = new Date(Date.now() - days * 86_400_000)
    await utimes(join(home, 'evidence', id), at, at)
  }

  test('what is too old goes', async () => {
    const [old, young] = [newId('session'), newId('session')]
    for (const id of [old, young]) await open().keep(id, { console: 'x' })
    await daysAgo(old, 31)
    await daysAgo(young, 29)
    expect(await open().collect()).toEqual([old])
    expect(await readdir(join(home, 'evidence'))).toEqual([young])
  })

  test('while there is too much, the oldest goes', async () => {
    const ids = Array.from({ length: 12 }, () => newId('session'))
    for (const [n, id] of ids.entries()) {
      await open().keep(id, { egress: 'x'.repeat(128 * 1024) })
      await daysAgo(id, 20 - n)
    }
    expect(new Set(await open().collect())).toEqual(new Set(ids.slice(0, 4)))
    expect((await readdir(join(home, 'evidence'))).toSorted()).toEqual(ids.slice(4).toSorted())
  })

  test('of machines of the pool the newest are enough, whatever room there is', async () => {
    const session = newId('session')
    await open().keep(session, { console: 'x' })
    await daysAgo(session, 29)
    const machines = Array.from({ length: 23 }, () => newId('machine'))
    for (const [n, id] of machines.entries()) {
      await open().keep(id, { console: 'x' })
      await daysAgo(id, 25 - n)
    }
    expect(await open().collect()).toEqual([])
    expect(new Set(await readdir(join(home, 'evidence')))).toEqual(new Set([session, ...machines.slice(3)]))
  })

  test('nothing to collect, nowhere to look', async () => {
    expect(await open().collect()).toEqual([])
  })

  test('a file in its place, that nobody knows, does not stop it', async () => {
    const id = newId('session')
    await open().keep(id, { console: 'x' })
    await writeFile(join(home, 'evidence', 'notes.txt'), 'mine')
    await daysAgo(id, 40)
    expect(await open().collect()).toEqual([id])
  })
})

test('the end of a text is cut at a line, and a text that fits is as it was', () => {
  expect(endOfText('one\ntwo\n', 100)).toBe('one\ntwo\n')
  expect(endOfText(`${'a'.repeat(50)}\n${'b'.repeat(50)}\n`, 90)).toBe(
    `[what was before is not kept]\n${'b'.repeat(50)}\n`,
  )
})
