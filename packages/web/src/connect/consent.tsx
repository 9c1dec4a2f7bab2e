import { useMutation, useQueryClient } from '@tanstack/react-query'
import { post, wordsFor } from '../api/api.ts'
import { Button } from '../design/button.tsx'
import { faceOf, queueWords } from '../session/session-words.ts'
import styles from './consent.module.css'
import { Facts } from './facts.tsx'
import { Sheet } from './sheet.tsx'
import { type HostedPage, pageKey } from './use-hosted-page.ts'

/** Before anything begins: the question to the person, and to nobody else. */
export const Consent = ({ page }: { page: HostedPage }) =>
  page.isYours ? <Question page={page} /> : <NotAgreedYet page={page} />

/** What an operator sees who comes to look on too early. */
const NotAgreedYet = ({ page }: { page: HostedPage }) => (
  <Sheet title="Waiting for the account owner">
    <p>
      {`Whoever connects ${page.provider.title} has not opened their link, or has not chosen to continue. The screen shows here as soon as they do.`}
    </p>
    <Facts page={page} />
  </Sheet>
)

/** What the sign-in is about, and whether the person wants it. The machine is made ready meanwhile. */
function Question({ page }: { page: HostedPage }) {
  const { session, provider } = page
  const client = useQueryClient()
  const queryKey = pageKey(session.id)
  const agree = useMutation({
    mutationFn: () => post(`/v1/sessions/${session.id}/agree`),
    onSuccess: () => {
      client.setQueryData<HostedPage>(queryKey, (now) => now && { ...now, agreed: true })
      void client.invalidateQueries({ queryKey })
    },
  })
  const decline = useMutation({
    mutationFn: () => post(`/v1/sessions/${session.id}/cancel`),
    onSuccess: () => client.invalidateQueries({ queryKey }),
  })
  const isDecided = [agree, decline].some(({ isPending, isSuccess }) => isPending || isSuccess)
  const error = agree.error ?? decline.error
  return (
    <Sheet title={`Connect ${provider.title}?`}>
      <Facts page={page} />
      <p className={styles.promise}>
        You sign in yourself, in a browser on a computer that exists only for this. Your password is not kept. Then that
        computer is destroyed.
      </p>
      <p className={styles.meanwhile}>{meanwhile(page)}</p>
      {error && <p role="alert">{wordsFor(error)}</p>}
      <div className={styles.actions}>
        <Button look="primary" disabled={isDecided} onClick={() => agree.mutate()}>
          Continue
        </Button>
        <Button disabled={isDecided} onClick={() => decline.mutate()}>
          Decline
        </Button>
      </div>
    </Sheet>
  )
}

function meanwhile({ session }: HostedPage): string {
  if (session.queue?.reason) return `${queueWords(session.queue)}.`
  return faceOf(session) === 'live' ? 'The computer is ready.' : 'The computer is being made ready meanwhile.'
}
