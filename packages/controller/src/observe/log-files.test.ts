import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@anteroom/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLogFiles } from './log-files.ts'
import { readLogOf } from './log-records.ts'

const MiB = 1024 * 1024
const session = `ses_${'a'.repeat(24)}`
const machine = `vm_${'b'.repeat(24)}`

let home: string
let directory: string
let now: number
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'anteroom-log-'))
  directory = join(home, 'logs/controller')
  now = Date.parse('2026-03-01T12:00:00Z')
})
afterEach(() => rm(home, { recursive: true }))

const open = (limits = { max_age_days: 14, max_total_mib: 8 }) =>
  openLogFiles({ directory, limits, clock: { ...systemClock, now: () => now } })
const line = (fields: object): string =>
  `${JSON.stringify({ level: 'info', time: new Date(now).toISOString(), msg: 'x', ...fields })}\n`
const files = async (): Promise<string[]> => (await readdir(directory)).toSorted()
const numbers = async (): Promise<unknown[]> => (await readLogOf(directory, new Set([session]))).map(({ n }) => n)

describe('writing', () => {
  test('is done when it returns, readable for its owner alone, and goes on in the same file after a restart', async () => {
    open().write(line({ n: 1 }))
    open().write(line({ n: 2 }))
    expect(await files()).toEqual(['2026-03-01.0001.jsonl'])
    const path = join(directory, '2026-03-01.0001.jsonl')
    expect(await readFile(path, 'utf8')).toBe(`${line({ n: 1 })}\n${line({ n: 2 })}`)
    expect([(await stat(path)).mode & 0o777, (await stat(directory)).mode & 0o777]).toEqual([0o600, 0o700])
  })

  test('begins a new file each day, and when one is full', async () => {
    const log = open()
    log.write(line({ n: 1 }))
    log.write(line({ filling: 'x'.repeat(MiB - 1000) }))
    log.write(line({ filling: 'x'.repeat(2000) }))
    now += 86_400_000
    log.write(line({ n: 2 }))
    expect(await files()).toEqual(['2026-03-01.0001.jsonl', '2026-03-01.0002.jsonl', '2026-03-02.0001.jsonl'])
  })

  test('keeps the order when the clock is set back', async () => {
    open().write(line({ session, n: 1 }))
    now -= 3 * 86_400_000
    open().write(line({ session, n: 2 }))
    expect(await numbers()).toEqual([1, 2])
  })

  test('never takes more than its limit: the oldest lines go', async () => {
    const log = open()
    for (let n = 0; n < 40; n++) log.write(line({ session, n, filling: 'x'.repeat(MiB / 2) }))
    const sizes = await Promise.all((await files()).map(async (name) => (await stat(join(directory, name))).size))
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(8 * MiB)
    const kept = await numbers()
    expect(kept.length).toBeGreaterThan(5)
    expect(kept.at(-1)).toBe(39)
  })

  test('lets go what is too old', async () => {
    open().write(line({ n: 1 }))
    await utimes(join(directory, '2026-03-01.0001.jsonl'), now / 1000, now / 1000)
    now += 15 * 86_400_000
    open().write(line({ n: 2 }))
    expect(await files()).toEqual(['2026-03-16.0001.jsonl'])
  })

  test('goes on where it cannot write, and says how much was lost when it can again', async () => {
    // A device on which every write ends as on a full disk.
    await mkdir(directory, { recursive: true })
    const path = join(directory, '2026-03-01.0001.jsonl')
    await symlink('/dev/full', path)
    const log = open()
    log.write(line({ session, n: 1 }))
    log.write(line({ session, n: 2 }))
    await rm(path)
    log.write(line({ session, n: 3 }))
    expect(await numbers()).toEqual([3])
    expect(await readFile(path, 'utf8')).toMatch(/"lines":2,"msg":"lines were lost: the log could not be written"/)
  })

  test('a file in the place of its directory is not the end of the process', async () => {
    await mkdir(join(home, 'logs'))
    await writeFile(directory, '')
    expect(() => open().write(line({}))).not.toThrow()
  })
})

describe('reading', () => {
  test('gives what names a session or a machine, by its fields alone, in order', async () => {
    const log = open()
    log.write(line({ session, n: 1 }))
    log.write(line({ session: `ses_${'z'.repeat(24)}`, about: session, n: 2 }))
    log.write(line({ machine, n: 3 }))
    now += 86_400_000
    log.write(line({ session, machine, n: 4 }))
    expect((await readLogOf(directory, new Set([session, machine]))).map(({ n }) => n)).toEqual([1, 3, 4])
    expect(await readLogOf(directory, new Set([session]), new Date(now))).toHaveLength(1)
  })

  test('is not disturbed by a line that was cut off, nor by other files', async () => {
    open().write(line({ session, n: 1 }))
    await appendFile(join(directory, '2026-03-01.0001.jsonl'), `{"level":"info","session":"${session}","n":`)
    await writeFile(join(directory, 'notes.txt'), line({ session, n: 8 }))
    open().write(line({ session, n: 2 }))
    expect(await numbers()).toEqual([1, 2])
  })

  test('of a log that is not there finds nothing', async () => {
    expect(await numbers()).toEqual([])
  })
})
