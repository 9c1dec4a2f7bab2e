import { useMutation, useQueryClient } from '@tanstack/react-query'
import { post, wordsFor } from '../api/api.ts'
import { Button } from '../design/button.tsx'
import { faceOf, queueWords } from '../session/session-words.ts'
import styles from './consent.module.css'
import { Facts } from './facts.tsx'
import { Sheet } from './sheet.tsx'
import { type HostedPage, pageKey } from './use-hosted-page.ts'

/** Before anything begins: what the sign-in is about, and whether the person wants it. The machine is made ready meanwhile. */
export function Consent({ page }: { page: HostedPage }) {
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
