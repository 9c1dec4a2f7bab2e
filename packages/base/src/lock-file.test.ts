import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { acquireLock } from './lock-file.ts'

const here = join(import.meta.dirname, 'lock-file.ts')

test('the lock of another process is refused with its pid, and free as soon as that process is killed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anteroom-lock-'))
  const path = join(directory, 'lock')
  const holder = spawn(process.execPath, [
    '-e',
    `import(${JSON.stringify(here)}).then((m) => { const lock = m.acquireLock(${JSON.stringify(path)}); console.log('held'); setInterval(() => lock, 1e6) })`,
  ])
  try {
    await once(holder.stdout, 'data')
    expect(acquireLock(path)).toEqual({ heldBy: holder.pid })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const mine = acquireLock(path)
    expect(mine).toHaveProperty('release')
    if ('release' in mine) mine.release()
  } finally {
    holder.kill('SIGKILL')
    rmSync(directory, { recursive: true })
  }
})
