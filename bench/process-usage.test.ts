import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { cpuMs, descendants, pssBytes } from './process-usage.ts'

test('finds children of children, and their CPU time and memory', async () => {
  // A shell that has a child which computes for ever.
  const shell = spawn('sh', ['-c', 'while :; do :; done & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = await once(shell.stdout, 'data')
  const [parent, child] = [shell.pid ?? 0, Number(line)]
  try {
    const found = await descendants([parent])
    expect(found.toSorted()).toEqual([parent, child].toSorted())
    while ((await cpuMs(found)) < 50);
    expect(await cpuMs([parent])).toBeLessThan(await cpuMs([child]))
    const memory = await pssBytes(found)
    expect(memory).toBeGreaterThan(await pssBytes([child]))
    expect(memory).toBeLessThan(64 * 1024 * 1024)
  } finally {
    process.kill(child, 'SIGKILL')
    shell.kill('SIGKILL')
  }
  await once(shell, 'close')
  expect([await cpuMs([parent]), await pssBytes([parent])]).toEqual([0, 0])
})
