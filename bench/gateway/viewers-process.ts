/** Plays the viewers: takes what comes and counts it. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { answerParent } from '../child.ts'
import { clientFrame, FrameCounter } from './frame-counter.ts'
import { echo, enteredBytes, keyEvent, sayToGateway, sayToMachine } from './rfb-load.ts'

/** How a relay is spoken to: RFB as it is, RFB in a WebSocket, or as the gateway greets (no password). */
export type Speech = 'tcp' | 'websocket' | 'gateway'
export type ViewersQuestion =
  | { readonly do: 'enter'; readonly port: number; readonly speech: Speech; readonly count: number }
  | { readonly do: 'count' }
  | { readonly do: 'stall' }
  | { readonly do: 'type'; readonly times: number }
  | { readonly do: 'leave' }

interface Viewer {
  readonly socket: Socket
  readonly say: (bytes: Buffer) => void
  bytes: number
}

/** Everybody reads into the same memory: nobody looks at it. */
const buffer = Buffer.alloc(1024 * 1024)
let viewers: Viewer[] = []
let onBytes = (): void => {}

answerParent(process.pid, async (question: ViewersQuestion) => {
  switch (question.do) {
    case 'enter':
      for (let n = 0; n < question.count; n++) viewers.push(await open(question.port, question.speech))
      return await entered(question.speech)
    case 'count':
      return viewers.map(({ bytes }) => bytes)
    case 'stall':
      for (const { socket } of viewers) socket.pause()
      return null
    case 'type':
      return await type(question.times)
    case 'leave':
      for (const { socket } of viewers) socket.destroy()
      viewers = []
      return null
  }
})

async function open(port: number, speech: Speech): Promise<Viewer> {
  const frames = speech === 'tcp' ? undefined : new FrameCounter()
  let answer = speech === 'tcp' ? undefined : ''
  const take = (chunk: Uint8Array): void => {
    if (answer !== undefined) {
      answer += Buffer.from(chunk).toString('latin1')
      const end = answer.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!answer.startsWith('HTTP/1.1 101')) throw new Error(answer)
      const rest = Buffer.from(answer.slice(end + 4), 'latin1')
      answer = undefined
      socket.emit('upgraded')
      take(rest)
      return
    }
    viewer.bytes += frames?.count(chunk) ?? chunk.length
    onBytes()
  }
  const callback = (bytes: number): boolean => {
    take(buffer.subarray(0, bytes))
    return true
  }
  const socket = connect({
    ...{ host: '127.0.0.1', port, noDelay: true },
    onread: { buffer, callback },
  })
  socket.on('error', () => {})
  const say = (bytes: Buffer): void => void socket.write(speech === 'tcp' ? bytes : clientFrame(bytes))
  const viewer: Viewer = { socket, say, bytes: 0 }
  await once(socket, 'connect')
  if (speech !== 'tcp') {
    socket.write(
      'GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\n\r\n',
    )
    await once(socket, 'upgraded')
  }
  say(speech === 'gateway' ? sayToGateway : sayToMachine)
  return viewer
}

const entered = (speech: Speech): Promise<void> =>
  until(() => viewers.every(({ bytes }) => bytes >= enteredBytes[speech === 'gateway' ? 'gateway' : 'machine']))

/** Milliseconds from each key to the last byte of its echo, by the first viewer. */
async function type(times: number): Promise<number[]> {
  const [viewer] = viewers
  if (!viewer) throw new Error('nobody there to type')
  const measured: number[] = []
  for (let n = 0; n < times; n++) {
    const wanted = viewer.bytes + echo.length
    const startedAt = performance.now()
    viewer.say(keyEvent)
    await until(() => viewer.bytes >= wanted)
    measured.push(performance.now() - startedAt)
  }
  return measured
}

const until = (condition: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    onBytes = () => {
      if (!condition()) return
      onBytes = () => {}
      resolve()
    }
    onBytes()
  })
