import type { Session } from '@anteroom/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Hourglass } from 'lucide-react'
import { type RefObject, useEffect, useRef } from 'react'
import { post, wordsFor } from '../api/api.ts'
import { useNow } from '../clock.ts'
import { Button } from '../design/button.tsx'
import { formatRemaining } from '../session/format-time.ts'
import { type NearLimit, nearLimit } from '../session/near-limit.ts'
import styles from './limit-warning.module.css'
import { Note } from './sheet.tsx'
import { type HostedPage, pageKey } from './use-hosted-page.ts'

interface Words {
  /** What screen readers say once, unlike a clock. */
  readonly title: string
  /** Before the time that is left. */
  readonly until: string
  readonly button: string
}

const words = {
  hard: { title: 'Time is nearly up.', until: 'Ends in', button: 'I need more time' },
  idle: { title: 'Are you still there?', until: 'Closes in', button: 'I am still here' },
  first_connect: { title: 'No screen open yet.', until: 'Closes in', button: 'I am still here' },
} as const satisfies Record<NearLimit['kind'], Words>

const lastTime = 'This cannot be extended any more.'

interface LimitWarningProps {
  readonly page: HostedPage
  /** In the bar over the screen, or over a page that shows something else. */
  readonly look: 'bar' | 'floating'
  readonly isOpen?: boolean
  readonly inputAt?: RefObject<number | undefined>
  readonly button?: RefObject<HTMLButtonElement | null>
  /** It was put off, and the focus was on the button that is gone now. */
  onFocusLost?(): void
  /** What is told now; undefined: nothing. The same function each time. */
  onTold(title: string | undefined): void
}

/** That the session is about to end, and the button that puts it off; takes neither the focus nor a place where people type. */
export function LimitWarning(props: LimitWarningProps) {
  const { page, look, isOpen = false, inputAt, button, onFocusLost, onTold } = props
  const { session, skewMs, idleSeconds } = page
  const now = useNow(skewMs, 500)
  const typedAt = inputAt?.current
  const limit = nearLimit(session, {
    ...{ now, idleSeconds, isOpen },
    inputAt: typedAt === undefined ? undefined : typedAt + skewMs,
  })
  const own = useRef<HTMLButtonElement>(null)
  const shownButton = button ?? own
  const extend = useExtension(session.id, () => {
    if (document.activeElement === shownButton.current) onFocusLost?.()
  })
  const title = limit && words[limit.kind].title
  useEffect(() => {
    onTold(title)
    return () => onTold(undefined)
  }, [title, onTold])
  const canBePutOff = limit?.extendable ?? false
  return (
    <>
      <span className="unseen" role="status">
        {limit && spoken(limit, look)}
      </span>
      {limit && (
        <div className={`${styles.warning} ${styles[look]}`} data-testid="limit" data-limit={limit.kind}>
          <Hourglass size={18} aria-hidden />
          <p>
            <strong>{canBePutOff ? words[limit.kind].title : lastTime}</strong>{' '}
            <span>
              {words[limit.kind].until}{' '}
              <span role="timer" className={styles.time}>
                {formatRemaining(limit.at - now)}
              </span>
              .
            </span>
          </p>
          {canBePutOff && (
            <Button
              ref={shownButton}
              look="primary"
              // The screen keeps the keyboard.
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => extend.isPending || extend.mutate(limit.kind !== 'hard')}
            >
              {words[limit.kind].button}
            </Button>
          )}
        </div>
      )}
      {canBePutOff && extend.isError && <Note>{wordsFor(extend.error)} Please try again.</Note>}
    </>
  )
}

const spoken = ({ kind, extendable }: NearLimit, look: 'bar' | 'floating'): string => {
  const { title, button } = words[kind]
  if (!extendable) return `${title} ${lastTime}`
  return look === 'bar' ? `${title} F6 leads to the button “${button}”.` : title
}

function useExtension(sessionId: string, onDone: () => void) {
  const client = useQueryClient()
  const queryKey = pageKey(sessionId)
  return useMutation({
    mutationFn: (idle_only: boolean) => post<Session>(`/v1/sessions/${sessionId}/extend`, { idle_only }),
    onSuccess: async (session) => {
      onDone()
      // An answer on its way may be older than this.
      await client.cancelQueries({ queryKey })
      client.setQueryData<HostedPage>(queryKey, (page) => page && { ...page, session })
    },
    // Somebody else may have moved it, or ended the session.
    onError: () => client.invalidateQueries({ queryKey }),
  })
}
