import type { Ticket } from '@anteroom/contract'
import { ApiProblem, post, wordsFor } from '../api/api.ts'
import { delay } from '../clock.ts'
import { backoffMs, closeWords } from './close-words.ts'
import { openScreen, type Screen } from './screen.ts'

export type LiveState =
  /** `why`: what cut it before, told until the picture is back. */
  | { readonly phase: 'connecting'; readonly why?: string }
  | { readonly phase: 'connected'; readonly screen: Screen; readonly ticket: LiveTicket }
  /** Cut; `waiting` connects again by itself, `stopped` waits for the person. */
  | { readonly phase: 'waiting' | 'stopped'; readonly why: string }

/** What the page knows of its own view. */
export type LiveTicket = Pick<Ticket, 'access' | 'viewer_id'>

export interface LiveLine {
  /** Connect again now. */
  retry(): void
  close(): void
}

interface LiveOptions {
  readonly sessionId: string
  readonly target: HTMLElement
  onState(state: LiveState): void
  /** The session may have moved on: look at it again. */
  onCut(): void
}

/** Keeps the screen of a session connected: a new ticket each time, growing pauses, a reason in words. */
export function keepLive(options: LiveOptions): LiveLine {
  const over = new AbortController()
  let hurry = new AbortController()
  const pause = async (ms: number): Promise<void> => {
    hurry = new AbortController()
    await delay(ms, AbortSignal.any([hurry.signal, over.signal]))
  }
  void run(options, pause, over.signal)
  // Back in the network: no reason to sit out a long pause.
  window.addEventListener('online', () => hurry.abort(), { signal: over.signal })
  return { retry: () => hurry.abort(), close: () => over.abort() }
}

/** Longer than any session lives. */
const untilAsked = 24 * 3600 * 1000

async function run(options: LiveOptions, pause: (ms: number) => Promise<void>, signal: AbortSignal): Promise<void> {
  let attempt = 0
  let cut: { why?: string } = {}
  while (!signal.aborted) {
    options.onState({ phase: 'connecting', ...cut })
    const end = await connectOnce(options, signal).catch(refusal)
    if (signal.aborted) return
    attempt = end.seen ? 1 : attempt + 1
    options.onCut()
    cut = { why: end.why }
    options.onState({ phase: end.reconnect ? 'waiting' : 'stopped', why: end.why })
    await pause(end.reconnect ? backoffMs(attempt, Math.random()) : untilAsked)
  }
}

interface Ended {
  readonly why: string
  readonly reconnect: boolean
  /** Was the picture there meanwhile? */
  readonly seen: boolean
}

async function connectOnce({ sessionId, target, onState }: LiveOptions, signal: AbortSignal): Promise<Ended> {
  const ticket = await ticketFor(sessionId)
  signal.throwIfAborted()
  // The page may have been opened under another name than the ticket's, and its policy lets it reach its own alone.
  const { pathname, search } = new URL(ticket.url)
  const address = `${location.origin.replace('http', 'ws')}${pathname}${search}`
  const screen = await openScreen(target, address, ticket.access === 'control')
  const leave = (): void => screen.disconnect()
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave)
  try {
    const seen = await screen.painted
    if (seen) onState({ phase: 'connected', screen, ticket })
    const { code } = await screen.closed
    return { ...closeWords(code, navigator.onLine), seen }
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** Whoever the screen does not belong to looks on, and may ask for more. */
async function ticketFor(sessionId: string): Promise<Ticket> {
  const path = `/v1/sessions/${sessionId}/tickets`
  try {
    return await post<Ticket>(path, { access: 'control' })
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.code !== 'control_needs_consent') throw error
    return await post<Ticket>(path, { access: 'view' })
  }
}

function refusal(error: unknown): Ended {
  const over = error instanceof ApiProblem && (error.code === 'session_over' || error.status === 401)
  return { why: wordsFor(error), reconnect: !over, seen: false }
}
