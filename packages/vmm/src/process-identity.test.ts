import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Scope } from '@anteroom/base'
import { afterEach, describe, expect, test } from 'vitest'
import { end, identityOf, isAlive } from './process-identity.ts'

const scope = Scope.root('test')
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function start(script: string) {
  const child = spawn(process.execPath, ['-e', `${script}; console.log('up')`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  await once(child.stdout, 'data')
  const identity = await identityOf(child.pid ?? 0)
  if (!identity) throw new Error('the child has no identity')
  return identity
}

describe('process identity', () => {
  test('a process is alive until it was ended', async () => {
    const identity = await start('setInterval(() => {}, 1e6)')
    expect(await isAlive(identity)).toBe(true)
    await end(identity, scope)
    expect(await isAlive(identity)).toBe(false)
    await end(identity, scope)
  })

  test('a process that ignores SIGTERM is killed', async () => {
    const identity = await start(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6)`)
    await end(identity, scope)
    expect(await isAlive(identity)).toBe(false)
  })

  test('another process with the same pid is not the one, nor is one of an earlier boot; neither is signalled', async () => {
    const identity = await start('setInterval(() => {}, 1e6)')
    for (const other of [
      { ...identity, startTicks: identity.startTicks - 1 },
      { ...identity, bootId: '00000000-0000-0000-0000-000000000000' },
    ]) {
      expect(await isAlive(other)).toBe(false)
      await end(other, scope)
    }
    expect(await isAlive(identity)).toBe(true)
  })
})
