import { Link2Off } from 'lucide-react'
import { lazy, Suspense, useCallback, useEffect, useState } from 'react'
import { wordsFor } from '../api/api.ts'
import { loadViewer } from '../live/screen.ts'
import { faceOf, headline } from '../session/session-words.ts'
import { Consent } from './consent.tsx'
import type { Arrival } from './enter.ts'
import { LimitWarning } from './limit-warning.tsx'
import { Over, TooLate } from './over.tsx'
import { Note, Sheet } from './sheet.tsx'
import { Starting } from './starting.tsx'
import { type HostedPage, useHostedPage } from './use-hosted-page.ts'

const loadLiveView = () => import('./live-view.tsx')
const LiveView = lazy(async () => ({ default: (await loadLiveView()).LiveView }))

/** The account owner's page: what is happening, then the screen, then what was kept. */
export function ConnectPage({ sessionId }: { sessionId: string }) {
  const { arrival, page } = useHostedPage(sessionId)
  const end = typeof arrival.data === 'object' ? arrival.data.end : undefined
  if (end) return <TooLate end={end} />
  if (page.data)
    return <Faces page={page.data} offline={page.isError || page.failureCount > 0} why={page.failureReason} />
  if (page.isError || arrival.isError)
    return <Refused arrival={arrival.data} why={wordsFor(page.error ?? arrival.error)} />
  const waiting = arrival.failureReason ?? page.failureReason
  return (
    <Sheet title="Opening your link">
      <p role="status">{waiting ? `${wordsFor(waiting)} Trying again.` : 'One moment.'}</p>
    </Sheet>
  )
}

function Faces({ page, offline, why }: { page: HostedPage; offline: boolean; why: unknown }) {
  const { session, provider } = page
  const face = faceOf(session)
  const isAsked = !page.agreed && (face === 'starting' || face === 'live')
  const [shown, setShown] = useState(false)
  const onShown = useCallback(() => setShown(true), [])
  const sentence = isAsked ? `Connect ${provider.title}?` : headline(session, provider)
  const [told, setTold] = useState<string>()
  // People who wait for a code in their mail see the tab's title only.
  const title = told ?? (face === 'live' && !isAsked ? `Sign in to ${provider.title}` : sentence)
  useEffect(() => {
    document.title = `${title} · Anteroom`
  }, [title])
  useEffect(() => {
    // Fetched while the machine starts. A failure shows when they are needed, and is tried again then.
    if (face === 'starting') Promise.all([loadLiveView(), loadViewer()]).catch(() => undefined)
  }, [face])
  return (
    <>
      <p
        className="unseen"
        role="status"
        data-testid="status"
        data-status={session.status}
        data-outcome={session.outcome ?? ''}
      >
        {sentence}
      </p>
      {face === 'live' && !isAsked && (
        <Suspense>
          <LiveView page={page} covered={!shown} onShown={onShown} onTold={setTold} />
        </Suspense>
      )}
      {face === 'over' && <Over page={page} />}
      {face !== 'over' && !(face === 'live' && shown) && (
        <>
          {isAsked ? <Consent page={page} /> : <Starting page={page} />}
          <LimitWarning page={page} look="floating" onTold={setTold} />
        </>
      )}
      {/* The screen says itself why it was cut. */}
      {offline && (face !== 'live' || !shown) && <Note>{wordsFor(why)} Trying again.</Note>}
    </>
  )
}

function Refused({ arrival, why }: { arrival: Arrival | undefined; why: string }) {
  if (arrival === 'used_link')
    return (
      <Sheet title="This link opens only once" lead={<Link2Off size={44} strokeWidth={1.6} aria-hidden />}>
        <p>
          It was opened before, in another browser or by somebody else, or it is not complete. That is how it is meant
          to be: nobody who finds the link later can use it.
        </p>
        <p>If it was you, go back to that window. Otherwise ask for a new link where you got this one.</p>
      </Sheet>
    )
  if (arrival === 'no_link')
    return (
      <Sheet title="Open this page with your link" lead={<Link2Off size={44} strokeWidth={1.6} aria-hidden />}>
        <p>
          This sign-in belongs to the browser that opened its link first. Open the link you were given, or ask for a new
          one where you got it.
        </p>
      </Sheet>
    )
  return (
    <Sheet title="This page could not be opened">
      <p>{why}</p>
      <p>Reload the page to try again.</p>
    </Sheet>
  )
}
