import { useQuery } from '@tanstack/react-query'
import { ApiProblem, post, wordsFor } from '../api/api.ts'
import { Sheet } from '../connect/sheet.tsx'
import { Button } from '../design/button.tsx'
import styles from './dashboard.module.css'

/** Where the link of `npm start` leads: trades its token for a cookie and goes on to the dashboard. */
export function SignIn() {
  const { error, refetch } = useQuery({
    queryKey: ['sign-in'],
    queryFn: async () => {
      const token = new URLSearchParams(location.hash.slice(1)).get('token')
      if (token) await post('/v1/operator/sign-in', { token })
      location.replace('/')
      return null
    },
    staleTime: Number.POSITIVE_INFINITY,
  })
  if (error === null)
    return (
      <Sheet title="Signing you in">
        <p role="status">One moment.</p>
      </Sheet>
    )
  if (error instanceof ApiProblem) return <NeedsSignIn used />
  return (
    <Sheet title="Signing you in">
      <p role="alert">{wordsFor(error)}</p>
      <div>
        <Button onClick={() => void refetch()}>Try again</Button>
      </div>
    </Sheet>
  )
}

export const NeedsSignIn = ({ used = false }: { used?: boolean }) => (
  <Sheet title={used ? 'This sign-in link is used up' : 'You are not signed in here'}>
    <p>
      {used
        ? 'Each link signs in one browser, once, and only for a short while.'
        : 'The dashboard is for the person who runs this service.'}{' '}
      For a new link, run this again in the directory of the checkout, and open the address that it prints:
    </p>
    <pre className={styles.command}>
      <code>npm start</code>
    </pre>
  </Sheet>
)
