import type { ProviderSummary, Session, SessionEvent, Viewer } from '@anteroom/contract'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { ApiProblem, get } from '../api/api.ts'
import { debounce } from '../clock.ts'
import { faceOf } from '../session/session-words.ts'
import { type Arrival, enter } from './enter.ts'

export interface HostedPage {
  readonly session: Session
  readonly provider: ProviderSummary
  /** null: whoever runs this service. */
  readonly askedBy: string | null
  /** false: an operator, who looks on. */
  readonly isYours: boolean
  /** The person was told what it is about, and went on. */
  readonly agreed: boolean
  /** Who sees the screen. */
  readonly viewers: readonly Viewer[]
  /** The operator lets what people paste into the machine. */
  readonly mayPaste: boolean
  /** How far the server's clock is ahead of this device's. */
  readonly skewMs: number
  /** How long nobody may do anything. */
  readonly idleSeconds: number
}

interface PageAnswer {
  readonly session: Session
  /** null when its definition was removed meanwhile. */
  readonly provider: ProviderSummary | null
  readonly asked_by: string | null
  readonly is_yours: boolean
  readonly agreed: boolean
  readonly viewers: readonly Viewer[]
  readonly may_paste: boolean
  readonly server_time: string
  readonly idle_seconds: number
}

export const pageKey = (sessionId: string): readonly string[] => ['page', sessionId]

const removedProvider = (name: string): ProviderSummary => ({
  name,
  title: name,
  kind: 'oauth2',
  opens: '',
  captures: [],
  demo: false,
})

const pollFastMs = 2000
/** With the event stream open, polling is only the safety net under it. */
const pollSlowMs = 15_000
/** Places in the queue are no events: each admission changes all of them. */
const pollQueueMs = 5000

/** A change of state and of its stage come as two events, together. */
const settleMs = 40

const isRefusal = (error: unknown): boolean => error instanceof ApiProblem && error.status < 500 && error.status !== 429

export function useHostedPage(sessionId: string) {
  const arrival = useQuery<Arrival>({
    queryKey: ['arrival', sessionId],
    queryFn: () => enter(sessionId),
    staleTime: Number.POSITIVE_INFINITY,
    retry: (_count, error) => !isRefusal(error),
    retryDelay: pollFastMs,
  })
  const [streaming, setStreaming] = useState(false)
  const page = useQuery<HostedPage>({
    queryKey: pageKey(sessionId),
    enabled: arrival.isSuccess && typeof arrival.data === 'string',
    queryFn: async ({ signal }) => {
      const path = `/v1/sessions/${sessionId}/page`
      const { session, provider, asked_by, is_yours, agreed, viewers, may_paste, server_time, idle_seconds } =
        await get<PageAnswer>(path, signal)
      return {
        session,
        provider: provider ?? removedProvider(session.provider),
        askedBy: asked_by,
        isYours: is_yours,
        agreed,
        viewers,
        mayPaste: may_paste,
        skewMs: Date.parse(server_time) - Date.now(),
        idleSeconds: idle_seconds,
      }
    },
    retry: (_count, error) => !isRefusal(error),
    retryDelay: pollFastMs,
    refetchInterval: ({ state }) => {
      if (state.data?.session.status === 'ended' || isRefusal(state.error)) return false
      if (!streaming) return pollFastMs
      return state.data?.session.status === 'queued' ? pollQueueMs : pollSlowMs
    },
    // The title of a tab in the background tells whether somebody is missed there.
    refetchIntervalInBackground: true,
  })
  const following = page.data !== undefined && page.data.session.status !== 'ended' && !isRefusal(page.error)
  useEvents(sessionId, following, setStreaming)
  return { arrival, page }
}

/**
 * The screen can be asked for now, a round trip before the rest is known. A stream tells what was before first: that is news only
 * to a page that still waits.
 */
const becomeReady = (page: HostedPage | undefined): HostedPage | undefined =>
  page && faceOf(page.session) === 'starting' ? { ...page, session: { ...page.session, status: 'ready' } } : page

/** Looks at the page again on each event; several at once make one request. */
function useEvents(sessionId: string, following: boolean, setStreaming: (open: boolean) => void): void {
  const client = useQueryClient()
  useEffect(() => {
    if (!following) return
    const queryKey = pageKey(sessionId)
    const refetch = debounce(() => void client.invalidateQueries({ queryKey }), settleMs)
    let source: EventSource
    const open = (): void => {
      source = new EventSource(`/v1/sessions/${sessionId}/events`)
      source.addEventListener('session', ({ data }) => {
        const event = JSON.parse(data) as SessionEvent
        if (event.data.status === 'ready') {
          // An answer on its way may be older than this.
          void client.cancelQueries({ queryKey })
          client.setQueryData(queryKey, becomeReady)
        }
        refetch.call()
      })
      source.addEventListener('open', () => {
        setStreaming(true)
        // What happened while the stream was cut.
        refetch.call()
      })
      source.addEventListener('error', () => {
        setStreaming(false)
        // After an answer that is no stream, such as a proxy's for a service that restarts, browsers give up.
        if (source.readyState === EventSource.CLOSED) reopen.call()
      })
    }
    const reopen = debounce(open, pollFastMs)
    open()
    return () => {
      refetch.cancel()
      reopen.cancel()
      source.close()
      setStreaming(false)
    }
  }, [sessionId, following, client, setStreaming])
}
