import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Scope } from '@anteroom/base'
import { startChild } from '../child.ts'
import type { Speech } from './viewers-process.ts'

export const relayNames = ['TCP relay', 'websockify', 'gateway'] as const
export type RelayName = (typeof relayNames)[number]

export interface Relay {
  readonly pid: number
  readonly port: number
  readonly speech: Speech
}

/** Starts a relay to the machine's port; it is stopped when the scope ends. */
export async function startRelay(name: RelayName, machinePort: number, scope: Scope): Promise<Relay> {
  switch (name) {
    case 'TCP relay':
      return { ...(await startOwn('tcp-relay-process.ts', machinePort, scope)), speech: 'tcp' }
    case 'websockify':
      return { ...(await startWebsockify(machinePort, scope)), speech: 'websocket' }
    case 'gateway':
      return { ...(await startOwn('gateway-process.ts', machinePort, scope)), speech: 'gateway' }
  }
}

async function startOwn(module: string, machinePort: number, scope: Scope) {
  const { child, ready } = await startChild(new URL(module, import.meta.url), [String(machinePort)], scope)
  return { pid: child.pid, port: ready as number }
}

async function startWebsockify(machinePort: number, scope: Scope) {
  const port = await freePort()
  const child = spawn('websockify', [`127.0.0.1:${port}`, `127.0.0.1:${machinePort}`], {
    stdio: 'ignore',
    detached: true,
  })
  const ended = once(child, 'exit')
  scope.defer(async () => {
    // With its viewers' processes. It answers SIGTERM by an exception, which is lost where it is just catching others: seen once.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    await ended
  })
  await once(child, 'spawn')
  // Trying costs a process of its own, which is gone again before anything is measured.
  await scope.until(() => listens(port), 50)
  return { pid: child.pid ?? 0, port }
}

const listens = (port: number): Promise<true | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(undefined))
    socket.once('connect', () => socket.destroy())
  })

async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  await once(server.close(), 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
