import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { acquireLock, Scope } from '@anteroom/base'
import { expect, test } from 'vitest'
import { buildImage } from './build-image.ts'

test('while another build holds the lock, nothing is touched and its pid is named', async () => {
  const home = await mkdtemp(join(tmpdir(), 'anteroom-build-'))
  try {
    const theirs = join(home, 'images', '.build-1')
    await mkdir(theirs, { recursive: true })
    const lock = acquireLock(join(home, 'images', '.lock'))
    if (!('release' in lock)) throw new Error('the lock was free')
    const refused = buildImage({ home, onProgress: () => {} }, Scope.root('test'))
    await expect(refused).rejects.toMatchObject({
      code: 'image_build_locked',
      detail: expect.stringContaining(`pid ${process.pid}`),
    })
    expect(await readdir(join(home, 'images'))).toContain('.build-1')
    lock.release()
  } finally {
    await rm(home, { recursive: true })
  }
})
