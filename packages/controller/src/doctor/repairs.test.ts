import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { acquireLock, newId } from '@anteroom/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { logDirectory } from '../observe/observe.ts'
import { image, imagesOf, scope, Ward } from './doctor.fixture.ts'
import { examine } from './doctor.ts'

let ward: Ward
let home: string
beforeEach(async () => {
  ward = await Ward.open()
  home = ward.home
})
afterEach(() => ward.close())

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

test('what is over the limits of evidence and log goes, and nothing else', async () => {
  const [evidence, old] = [await ward.keepOldEvidence(), await ward.keepOldLog()]
  const { checks } = await examine(ward.patient, scope, { fix: true })
  for (const name of ['evidence', 'log'])
    expect(checks.find((one) => one.name === name)).toMatchObject({
      verdict: 'ok',
      fixed: expect.stringMatching(/^removed 1/),
    })
  expect([await isThere(evidence), await isThere(old)]).toEqual([false, false])
  expect(await isThere(join(logDirectory(home), '2026-01-02.0001.jsonl'))).toBe(true)
})

test('keys and directories are their user’s alone again', async () => {
  await chmod(join(home, 'vault.key'), 0o644)
  await chmod(home, 0o755)
  const { verdict, fixed } = await ward.check('files', {}, true)
  expect([verdict, fixed]).toEqual(['ok', expect.stringContaining('vault.key is its owner’s alone again')])
  const modes = await Promise.all([home, join(home, 'vault.key')].map(async (path) => (await stat(path)).mode & 0o777))
  expect(modes).toEqual([0o700, 0o600])
})

test('what was never finished goes; what is being written, or a process uses, stays', async () => {
  const stale = [
    ...[join(home, 'operator.key.1a2b3c4d.new'), join(home, 'run/controller.json.new')],
    join(home, 'evidence', `.${newId('session')}`),
    join(home, 'snapshots/.build-1'),
  ]
  for (const name of ['run', 'evidence', 'snapshots/.build-2'])
    await mkdir(join(home, name), { recursive: true, mode: 0o700 })
  for (const path of stale) await ward.writeOld(path)
  const fresh = join(home, 'vault.key.5e6f7a8b.new')
  await writeFile(fresh, 'just now')
  const inUse = join(home, 'snapshots/.build-2')
  const program = spawn('sleep', ['60'], { cwd: inUse })
  try {
    await once(program, 'spawn')
    expect(await ward.check('files', {}, true)).toMatchObject({
      verdict: 'ok',
      fixed: expect.stringContaining('.build-1'),
    })
  } finally {
    program.kill('SIGKILL')
  }
  expect(await Promise.all(stale.map(isThere))).toEqual(stale.map(() => false))
  expect([await isThere(fresh), await isThere(inUse)]).toEqual([true, true])
})

test('a build of images or snapshots that runs keeps what it made', async () => {
  await mkdir(join(home, 'snapshots/.build-1'), { recursive: true })
  const lock = acquireLock(join(home, 'snapshots/.lock'))
  expect((await ward.check('files')).verdict).toBe('ok')
  if ('release' in lock) lock.release()
  expect((await ward.check('files')).verdict).toBe('warning')
})

test('golden images that nobody uses go', async () => {
  const unused = [`img_${'7'.repeat(24)}`]
  const result = await ward.check('leftovers', { images: imagesOf(async () => image, unused) }, true)
  expect(result).toMatchObject({ verdict: 'ok', fixed: expect.stringContaining('img_7777') })
})

test('a snapshot that is damaged or missing is asked for, where a controller can build it', async () => {
  const asked: string[] = []
  const snapshots = {
    reject: (id: string) => void asked.push(`not ${id}`),
    rebuild: () => void asked.push('a new one'),
  }
  const directory = await ward.publishSnapshot()
  await truncate(join(directory, 'memory'), 100)
  expect(await ward.check('snapshot', { snapshots }, true)).toMatchObject({
    fixed: expect.stringContaining('asked for'),
  })
  expect(asked).toEqual([expect.stringMatching(/^not snp_/), 'a new one'])
  await rm(directory, { recursive: true })
  expect(await ward.check('snapshot', { snapshots }, true)).toMatchObject({
    fixed: expect.stringContaining('asked for'),
  })
  expect(asked.length).toBe(3)
  expect((await ward.check('snapshot', {}, true)).fixed).toBeNull()
})

test('a database that is damaged is told of, and left as it is', async () => {
  await ward.damageDatabase()
  const before = await readFile(join(home, 'anteroom.sqlite'))
  expect(await ward.check('integrity', {}, true)).toMatchObject({ verdict: 'failed', fixed: null })
  expect((await readFile(join(home, 'anteroom.sqlite'))).equals(before)).toBe(true)
})
