import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { cpioArchive } from './cpio-archive.ts'

test('another program unpacks the same files, modes and bytes', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'anteroom-cpio-'))
  try {
    const odd = Buffer.from([0, 1, 2, 255, 7])
    const archive = cpioArchive([
      { path: 'bin', mode: 0o40755 },
      { path: 'bin/run', mode: 0o100755, content: Buffer.from('#!/bin/sh\n') },
      { path: 'bin/empty', mode: 0o100644, content: Buffer.alloc(0) },
      { path: 'odd', mode: 0o100600, content: odd },
    ])
    await writeFile(join(directory, 'archive'), archive)
    await promisify(execFile)('busybox', ['cpio', '-i', '-F', 'archive'], { cwd: directory })
    expect(await readFile(join(directory, 'bin/run'), 'utf8')).toBe('#!/bin/sh\n')
    expect((await stat(join(directory, 'bin/run'))).mode & 0o777).toBe(0o755)
    expect((await stat(join(directory, 'bin/empty'))).size).toBe(0)
    expect(await readFile(join(directory, 'odd'))).toEqual(odd)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('the same entries give the same bytes, a multiple of four', () => {
  const entries = [{ path: 'abc', mode: 0o100644, content: Buffer.from('12345') }]
  expect(cpioArchive(entries)).toEqual(cpioArchive(entries))
  expect(cpioArchive(entries).length % 4).toBe(0)
})
