import { mkdtemp, rename, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { afterEach, describe, expect, test } from 'vitest'
import { openQmp } from './qmp-client.ts'

const greeting = '{"QMP": {"version": {}, "capabilities": []}}\r\n'
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A monitor whose behaviour after each line it receives is `answer`; the first call is for the connection itself. */
async function monitor(answer: (socket: Socket, line: string) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'qmp-'))
  cleanups.push(() => rm(directory, { recursive: true }))
  const path = join(directory, 'qmp.sock')
  const server = createServer((socket) => {
    cleanups.push(() => socket.destroy())
    socket.on('error', () => {})
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      for (const line of chunk.split('\n').filter(Boolean)) answer(socket, line)
    })
    answer(socket, '')
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  cleanups.push(() => server.close())
  return path
}

const reply = (line: string, body: string): string => `{${body}, "id": ${JSON.parse(line).id}}\r\n`

describe('QMP client', () => {
  test('matches answers by id across events and split packets', async () => {
    const path = await monitor((socket, line) => {
      if (line === '') return void socket.write(greeting)
      if (!line.includes('query-status')) return void socket.write(reply(line, '"return": {}'))
      socket.write('{"event": "RESUME", "timestamp": {}}\r\n{"ret')
      socket.write(`urn": {"status": "running", "running": true}, "id": ${JSON.parse(line).id}}\r\n`)
    })
    const qmp = await openQmp(path, Scope.root('test'))
    cleanups.push(() => qmp.close())
    expect(await qmp.execute('query-status')).toEqual({ status: 'running', running: true })
  })

  test('a monitor that has just ended is an error of the call, and of nothing else', async () => {
    const path = await monitor(() => {})
    // The file of a socket that nobody listens at any more.
    await rename(path, `${path}.dead`)
    for (const cleanup of cleanups.splice(1).reverse()) await cleanup()
    for (let n = 0; n < 20; n++)
      await expect(openQmp(`${path}.dead`, Scope.root('test'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('a refusal names the reason', async () => {
    const path = await monitor((socket, line) => {
      if (line === '') return void socket.write(greeting)
      const body = line.includes('cont') ? '"error": {"class": "GenericError", "desc": "not now"}' : '"return": {}'
      socket.write(reply(line, body))
    })
    const qmp = await openQmp(path, Scope.root('test'))
    cleanups.push(() => qmp.close())
    await expect(qmp.execute('cont')).rejects.toThrow('not now')
  })

  test.each([
    ['closes', (socket: Socket) => void socket.end()],
    ['speaks no JSON', (socket: Socket) => void socket.write('<html>\n')],
    ['sends JSON that is no message', (socket: Socket) => void socket.write('null\n')],
    ['never ends its line', (socket: Socket) => void socket.write('x'.repeat(300_000))],
  ])('rejects when the monitor %s', async (_, misbehave) => {
    const path = await monitor(misbehave)
    await expect(openQmp(path, Scope.root('test'))).rejects.toThrow(/^the monitor /)
  })

  test('rejects at the deadline when the monitor serves somebody else', async () => {
    const path = await monitor(() => {})
    const opening = Scope.root('test').run({ name: 'asking', deadlineMs: 20 }, (scope) => openQmp(path, scope))
    await expect(opening).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  test('a command that waits is rejected when the connection ends', async () => {
    const path = await monitor((socket, line) => {
      if (line === '') socket.write(greeting)
      else if (line.includes('capabilities')) socket.write(reply(line, '"return": {}'))
      else socket.destroy()
    })
    const qmp = await openQmp(path, Scope.root('test'))
    await expect(qmp.execute('query-status')).rejects.toThrow('closed')
    await expect(qmp.execute('query-status')).rejects.toThrow('closed')
  })
})
