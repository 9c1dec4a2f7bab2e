import { addAbortSignal, type Duplex } from 'node:stream'
import { AppError, type Clock, type Scope } from '@anteroom/base'
import { type LiveCloseReason, liveCloseCodes } from '@anteroom/contract'
import {
  connectToMachine,
  greetClient,
  type MachineStream,
  type RfbEndpoint,
  RfbViolation,
  type Sink,
  sharedClientInit,
} from '@anteroom/rfb'
import { WebSocket } from 'ws'
import { ClientMessageFilter } from './client-message-filter.ts'
import { HeldInput } from './held-input.ts'
import { InputDetector } from './input-detector.ts'
import type { LiveAccess, LivePolicy } from './live.ts'
import { parseable, ServerMessageFilter } from './server-message-filter.ts'
import { ViewerStream } from './viewer-stream.ts'

/** Shown to the person when the page has nothing better to say; at most 123 bytes (RFC 6455 section 5.5.1). */
const closeTexts = {
  session_ended: 'This sign-in has ended.',
  machine_lost: 'The connection to the sign-in computer was lost.',
  ticket_revoked: 'Access to this view was withdrawn.',
  protocol_error: 'The view sent something that cannot be understood.',
  viewer_stalled: 'The picture could not be sent fast enough. Reload the page.',
  controller_stopping: 'The service is restarting. The view reconnects in a moment.',
  replaced: 'The view was opened in another window.',
  viewers_full: 'Too many people are looking on already.',
} as const satisfies Record<LiveCloseReason, string>

const watchEveryMs = 5_000
/** Below the 30 to 60 s after which proxies on the way cut an idle connection. */
const pingEveryMs = 25_000
/** For one read of the machine (256 KiB) or one message of the viewer: nobody can use a picture that comes at 9 KB/s. */
const stalledAfterMs = 30_000
/** People's networks, not ours. No authentication: redeeming the ticket was it. */
const viewerHandshake = { name: 'RFB handshake with the viewer', deadlineMs: 15_000 }
const closeFrameDeadlineMs = 5_000

/** Why a view is over; undefined when the viewer left by itself and nobody is there to be told. */
type End = LiveCloseReason | undefined

export interface View {
  /** Changes when control is handed over. */
  readonly access: LiveAccess
  /** Set here: called when control has been taken from the view. */
  onDemoted: () => void
  readonly policy: LivePolicy
  readonly endpoint: RfbEndpoint
  readonly socket: WebSocket
  /** Resolves when somebody else ends the view. */
  readonly stopped: Promise<LiveCloseReason>
  /** The viewer sees the screen. */
  readonly onOpen: () => void
  /** Somebody with control has done something. */
  readonly onInput: () => void
}

/** Serves one viewer until the view is over, tells them why, and leaves neither socket behind. Never rejects. */
export async function serveView(view: View, scope: Scope): Promise<void> {
  const { socket } = view
  const viewer = new ViewerStream(socket)
  // The end of the stream says it all; without a listener a broken connection would end the process.
  socket.on('error', () => {})
  const textFrame = new Promise<End>((resolve) => {
    socket.on('message', (_data, isBinary) => {
      if (!isBinary) resolve('protocol_error')
    })
  })
  let end: End
  try {
    end = await scope.run({ name: 'live view' }, async (inner) => {
      // Whichever ends it: connection attempts, loops and the machine's socket of this view go with it.
      inner.defer(() => inner.cancel())
      return await inner.race(Promise.race([view.stopped, textFrame, relay(view, viewer, inner)]))
    })
  } catch (error) {
    // Relaying answers with a reason, so what is thrown is the scope's end.
    scope.log.debug({ error }, 'live view cut short')
    end = 'controller_stopping'
  }
  await closeSocket(socket, end, scope.clock)
  viewer.destroy()
}

async function relay(view: View, viewer: Duplex, scope: Scope): Promise<End> {
  let machine: MachineStream
  try {
    machine = await connectToMachine(view.endpoint, scope)
  } catch (error) {
    scope.log.warn({ error }, 'the screen of the machine does not answer')
    return 'machine_lost'
  }
  addAbortSignal(scope.signal, machine)
  try {
    await scope.run(viewerHandshake, (inner) => greetClient(viewer, inner))
  } catch (error) {
    return viewerEnd(error, scope)
  }
  machine.write(sharedClientInit)
  view.onOpen()
  const picture = new Picture(view.socket)
  const { sink, broken } = withoutClipboard(picture.send, view, scope)
  return await Promise.race([
    machine.forward(sink).then((): End => 'machine_lost'),
    broken,
    toMachine({ viewer, machine, view }, scope),
    watch(view.socket, picture, scope),
  ])
}

/** From ServerInit on: one frame for what one read of the machine gave. */
class Picture {
  readonly #socket: WebSocket
  /** Something could not be sent at once: the viewer's kernel and ours have enough. */
  isWaiting = false
  /** Counts what was sent. */
  sent = 0

  constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** The machine is not read while this waits. What cannot be sent any more is dropped; why, the close event tells. */
  readonly send = (chunk: Buffer, done: () => void): void => {
    this.isWaiting = true
    this.#socket.send(chunk, () => {
      this.isWaiting = false
      this.sent++
      done()
    })
  }
}

/** May the viewer not have what was copied in the machine? Asked each time: control is handed over while the view is open. */
const isConfined = ({ access, policy }: View): boolean => access === 'view' || policy.clipboard_from_machine === 'off'

/** What the machine says, but for its clipboard. `broken` resolves when it cannot be told any more where that is. */
function withoutClipboard(
  send: Sink,
  view: View,
  scope: Scope,
): { readonly sink: Sink; readonly broken: Promise<End> } {
  const filter = new ServerMessageFilter(() => isConfined(view))
  const broken = Promise.withResolvers<End>()
  const sink: Sink = (chunk, done) => {
    try {
      const [first, ...more] = filter.push(chunk)
      if (first) send(more.length > 0 ? Buffer.concat([first, ...more]) : first, done)
      else done()
    } catch (error) {
      scope.log.warn({ error }, 'the screen of the machine does not speak RFB as allowed')
      broken.resolve('machine_lost')
    }
  }
  return { sink, broken: broken.promise }
}

interface Inward {
  readonly viewer: Duplex
  readonly machine: Duplex
  readonly view: View
}

async function toMachine({ viewer, machine, view }: Inward, scope: Scope): Promise<End> {
  const filter = new ClientMessageFilter(() => view.access, view.policy)
  const input = new InputDetector()
  const held = new HeldInput()
  // Nobody could let go of a key any more that is down when control goes to somebody else.
  view.onDemoted = () => {
    if (machine.writable) for (const message of held.release()) machine.write(message)
  }
  try {
    for await (const chunk of viewer.iterator({ destroyOnReturn: false }))
      for (const message of filter.push(chunk)) {
        if (input.isInput(message)) view.onInput()
        held.note(message)
        await write(machine, parseable(message))
      }
  } catch (error) {
    return viewerEnd(error, scope)
  }
  return undefined
}

function viewerEnd(error: unknown, scope: Scope): End {
  const late = error instanceof AppError && error.code === 'deadline_exceeded'
  if (!late && !(error instanceof RfbViolation)) return undefined
  scope.log.warn({ error }, 'the viewer does not speak RFB as allowed')
  return 'protocol_error'
}

/** Waits while the receiver has enough to do: what holds back the reader of the other side. */
function write(stream: Duplex, chunk: Buffer): Promise<void> | undefined {
  if (stream.destroyed || stream.write(chunk)) return undefined
  return new Promise((resolve) => {
    const finish = (): void => {
      stream.off('drain', finish).off('close', finish)
      resolve()
    }
    stream.on('drain', finish).on('close', finish)
  })
}

/**
 * Notices what no event tells: a viewer whose network went away (no pong), one that does not take its picture, and a
 * machine that does not take input (then the viewer is not read, and its pongs are not seen either).
 */
async function watch(socket: WebSocket, picture: Picture, { clock, signal }: Scope): Promise<End> {
  let pingedAt = clock.monotonic()
  let answered = true
  let sent = 0
  let movedAt = pingedAt
  let readAt = pingedAt
  socket.on('pong', () => {
    answered = true
  })
  for (;;) {
    await clock.delay(watchEveryMs, signal)
    if (signal.aborted) return undefined
    const now = clock.monotonic()
    if (!picture.isWaiting || picture.sent !== sent) movedAt = now
    sent = picture.sent
    if (now - movedAt >= stalledAfterMs) return 'viewer_stalled'
    if (!socket.isPaused) readAt = now
    if (now - readAt >= stalledAfterMs) return 'machine_lost'
    if (now - pingedAt < pingEveryMs || socket.isPaused) continue
    // Nothing can be said to a viewer that is not there.
    if (!answered && !picture.isWaiting) return undefined
    pingedAt = now
    answered = false
    if (socket.readyState === WebSocket.OPEN) socket.ping()
  }
}

/** Resolves when the WebSocket is closed; by force when the viewer does not answer the close frame. */
async function closeSocket(socket: WebSocket, end: End, clock: Clock): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return
  const answered = new AbortController()
  socket.once('close', () => answered.abort())
  if (end) socket.close(liveCloseCodes[end], closeTexts[end])
  else socket.terminate()
  socket.resume()
  await clock.delay(closeFrameDeadlineMs, answered.signal)
  socket.terminate()
}
