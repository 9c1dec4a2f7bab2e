import { ClipboardPaste, Keyboard, Lock } from 'lucide-react'
import { type KeyboardEvent, useEffect, useRef, useState } from 'react'
import { post, wordsFor } from '../api/api.ts'
import { useNow } from '../clock.ts'
import { Button } from '../design/button.tsx'
import { Confirm } from '../design/confirm.tsx'
import { companyOf } from '../live/company.ts'
import { formatRemaining } from '../session/format-time.ts'
import { ControlQuestion, ControlStrip, Watching } from './company-bar.tsx'
import { CutNotice } from './cut-notice.tsx'
import { LimitWarning } from './limit-warning.tsx'
import styles from './live-view.module.css'
import { PasteDialog } from './paste-dialog.tsx'
import { Note } from './sheet.tsx'
import { SoftKeyboard } from './soft-keyboard.tsx'
import type { HostedPage } from './use-hosted-page.ts'
import { useLastInput } from './use-last-input.ts'
import { useLiveScreen } from './use-live-screen.ts'
import { useVisibleHeight } from './use-visible-height.ts'

interface LiveViewProps {
  readonly page: HostedPage
  /** Still behind the timeline, because there is nothing to see yet. */
  readonly covered: boolean
  onShown(): void
  /** That the session is about to end; undefined: it is not. */
  onTold(title: string | undefined): void
}

/** The machine's screen, as large as the window, under a slim bar. */
export function LiveView({ page, covered, onShown, onTold }: LiveViewProps) {
  const { session, provider, skewMs } = page
  const stage = useRef<HTMLDivElement>(null)
  const target = useRef<HTMLDivElement>(null)
  const cancelButton = useRef<HTMLButtonElement>(null)
  const extendButton = useRef<HTMLButtonElement>(null)
  const keys = useRef<HTMLTextAreaElement>(null)
  const { live, retry } = useLiveScreen(session.id, target)
  const screen = live.phase === 'connected' ? live.screen : undefined
  const ticket = live.phase === 'connected' ? live.ticket : undefined
  const company = ticket && companyOf(page.viewers, ticket)
  const hasControl = company?.hasControl ?? false
  const why = 'why' in live ? live.why : undefined
  const [asking, setAsking] = useState<'cancel' | 'paste'>()
  const [trouble, setTrouble] = useState<string>()
  const inputAt = useLastInput(stage, screen !== undefined)
  useVisibleHeight()

  useEffect(() => {
    // Stopped for good, the reason and the button are what there is to show.
    if (screen || live.phase === 'stopped') onShown()
  }, [screen, live.phase, onShown])
  useEffect(() => screen?.setControl(hasControl), [screen, hasControl])
  useEffect(() => {
    if (screen && !covered && asking === undefined) screen.focus()
  }, [screen, covered, asking])

  const signedIn = (): void => {
    setTrouble(undefined)
    post(`/v1/sessions/${session.id}/capture`).catch((error: unknown) => setTrouble(wordsFor(error)))
  }
  const paste = async (): Promise<void> => {
    // Refused or missing (Firefox, or no permission): the person pastes into a field of ours instead.
    const text = await navigator.clipboard?.readText().catch(() => '')
    if (!text) return setAsking('paste')
    screen?.paste(text)
    screen?.focus()
  }

  const leave = (event: KeyboardEvent): void => {
    event.preventDefault()
    event.stopPropagation()
    const first = extendButton.current ?? cancelButton.current
    first?.focus()
  }

  return (
    <div className={styles.view} inert={covered}>
      <header className={styles.bar}>
        <Lock size={18} className={styles.lock} aria-hidden />
        <div className={styles.names}>
          <h1>{provider.title}</h1>
          <p>Private computer, destroyed afterwards</p>
          {company && !covered && <Watching others={company.others} />}
        </div>
        {!covered && (
          <LimitWarning
            {...{ page, inputAt, onTold }}
            look="bar"
            isOpen={screen !== undefined}
            button={extendButton}
            onFocusLost={() => screen?.focus()}
          />
        )}
        <div className={styles.tools}>
          <Remaining until={Date.parse(session.expires_at)} skewMs={skewMs} />
          {page.mayPaste && (
            <Button look="bare" onClick={() => void paste()} disabled={!hasControl} title="Paste">
              <ClipboardPaste size={20} aria-hidden /> <span>Paste</span>
            </Button>
          )}
          <Button
            look="bare"
            // Taking the focus would close the keyboard that is open.
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => toggleFocus(keys.current)}
            disabled={!hasControl}
            data-touch-only
          >
            <Keyboard size={20} aria-hidden /> <span>Keyboard</span>
          </Button>
          {provider.kind === 'website' && (
            <Button look="primary" onClick={signedIn} data-last>
              I am signed in
            </Button>
          )}
        </div>
        <Button ref={cancelButton} onClick={() => setAsking('cancel')}>
          Cancel
        </Button>
      </header>
      <div ref={stage} className={styles.stage}>
        <div
          ref={target}
          className={styles.screen}
          // Every other key, Tab included, belongs to the machine: this one leads out, to the next pane.
          onKeyDownCapture={(event) => event.key === 'F6' && leave(event)}
          data-testid="screen"
          data-live={live.phase}
          role="application"
          aria-label={`Screen of the private computer: ${provider.title}. F6 leaves it.`}
        />
        {screen && <SoftKeyboard field={keys} screen={screen} />}
        {company && ticket && !hasControl && !covered && (
          <ControlStrip sessionId={session.id} viewerId={ticket.viewer_id} company={company} />
        )}
        {why && !covered && <CutNotice why={why} waiting={live.phase !== 'stopped'} onRetry={retry} />}
      </div>
      {trouble && <Note>{trouble}</Note>}
      {why && covered && <Note>{why} Trying again.</Note>}
      {hasControl && company?.isOwner && company.asking && (
        <ControlQuestion key={company.asking.id} sessionId={session.id} asking={company.asking} />
      )}
      <PasteDialog
        open={asking === 'paste'}
        onClose={() => setAsking(undefined)}
        onText={(text) => screen?.paste(text)}
      />
      <Confirm
        open={asking === 'cancel'}
        title="Stop this sign-in?"
        yes="Stop and destroy"
        no="Keep going"
        onClose={() => setAsking(undefined)}
        act={() => post(`/v1/sessions/${session.id}/cancel`)}
      >
        The computer is destroyed and nothing is kept.
      </Confirm>
    </div>
  )
}

const Remaining = ({ until, skewMs }: { until: number; skewMs: number }) => (
  <p className={styles.remaining} title="Time left for this sign-in">
    {formatRemaining(until - useNow(skewMs))} left
  </p>
)

const toggleFocus = (field: HTMLTextAreaElement | null): void =>
  document.activeElement === field ? field?.blur() : field?.focus({ preventScroll: true })
