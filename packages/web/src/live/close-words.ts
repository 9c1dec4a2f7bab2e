import type { LiveCloseReason, liveCloseCodes } from '@anteroom/contract'

interface CloseWords {
  /** Why the picture was cut, for the account owner. */
  readonly why: string
  /** Reconnect without being asked? Not where that would take the screen away from somebody, or is of no use. */
  readonly reconnect: boolean
}

type LiveCloseCode = (typeof liveCloseCodes)[LiveCloseReason]

const byCode = {
  4000: { why: 'This sign-in has ended.', reconnect: false },
  4001: { why: 'The private computer stopped.', reconnect: true },
  4002: { why: 'Access to this screen was withdrawn.', reconnect: false },
  4003: { why: 'The picture arrived damaged.', reconnect: true },
  4004: { why: 'This page could not keep up with the picture.', reconnect: true },
  4005: { why: 'The service is restarting. Your private computer keeps running.', reconnect: true },
  4006: { why: 'The screen was opened in another tab or window.', reconnect: false },
  4007: { why: 'Too many people are looking on already.', reconnect: false },
} as const satisfies Record<LiveCloseCode, CloseWords>

const isLiveCloseCode = (code: number): code is LiveCloseCode => Object.hasOwn(byCode, code)

/** For every code of RFC 6455 and of the contract: a reason in words. */
export function closeWords(code: number, online: boolean): CloseWords {
  if (isLiveCloseCode(code)) return byCode[code]
  if (!online) return { why: 'This device is offline.', reconnect: true }
  if (code === 1011) return { why: 'The service had a problem showing the screen.', reconnect: true }
  if (code === 1005 || code === 1002 || code === 1007) return byCode[4003]
  return { why: 'The line to the private computer was cut.', reconnect: true }
}

const firstWaitMs = 250
/** With the most of the spread, and the moment that a picture takes, the view is back within three seconds of what it waits for. */
const longestWaitMs = 1500

/** Grows from a quarter of a second; `random` (0…1) spreads viewers that were cut at the same moment. */
export const backoffMs = (attempt: number, random: number): number =>
  Math.min(longestWaitMs, firstWaitMs * 2 ** (attempt - 1)) * (0.75 + random / 2)
