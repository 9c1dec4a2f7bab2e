import { useMutation } from '@tanstack/react-query'
import { post, wordsFor } from '../api/api.ts'
import { Button } from '../design/button.tsx'
import { faceOf, queueWords } from '../session/session-words.ts'
import { Timeline } from '../session/timeline.tsx'
import { Facts } from './facts.tsx'
import { Sheet } from './sheet.tsx'
import styles from './starting.module.css'
import type { HostedPage } from './use-hosted-page.ts'

/** Before the screen and after it: what was asked for, and what is happening. */
export function Starting({ page }: { page: HostedPage }) {
  const { session, provider, skewMs } = page
  const finishing = faceOf(session) === 'finishing'
  const cancel = useMutation({ mutationFn: () => post(`/v1/sessions/${session.id}/cancel`) })
  return (
    <div className={styles.cover}>
      <Sheet title={finishing ? finishingTitle(session) : `Connect ${provider.title}`}>
        {finishing ? <p className={styles.lead}>{finishingWords(session)}</p> : <Facts page={page} />}
        {session.queue?.reason && <p className={styles.waiting}>{queueWords(session.queue)}</p>}
        <section className={styles.card} aria-label="Progress">
          <Timeline session={session} skewMs={skewMs} ahead={!finishing} />
        </section>
        {!finishing && (
          <div className={styles.actions}>
            <p className={styles.promise}>
              You will see a browser on a computer that exists only for this sign-in. It is destroyed as soon as you are
              done.
            </p>
            <Button disabled={cancel.isPending || cancel.isSuccess} onClick={() => cancel.mutate()}>
              Cancel
            </Button>
          </div>
        )}
        {cancel.isError && <p role="alert">{wordsFor(cancel.error)}</p>}
      </Sheet>
    </div>
  )
}

const finishingTitle = ({ status, outcome }: HostedPage['session']): string =>
  status === 'capturing' || outcome === 'completed' ? 'Almost done' : 'Ending this sign-in'

const finishingWords = ({ status, outcome }: HostedPage['session']): string => {
  if (status === 'capturing') return 'You are signed in. Taking only what was announced…'
  if (outcome === 'completed') return 'It is safe in the vault. Now the computer is destroyed.'
  return 'The computer is being destroyed.'
}
