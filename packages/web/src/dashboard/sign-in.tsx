import { useMutation, useQuery } from '@tanstack/react-query'
import { ApiProblem, get, post, wordsFor } from '../api/api.ts'
import { Sheet } from '../connect/sheet.tsx'
import { Button } from '../design/button.tsx'
import styles from './dashboard.module.css'

const OneMoment = () => (
  <Sheet title="Signing you in">
    <p role="status">One moment.</p>
  </Sheet>
)

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
  if (error === null) return <OneMoment />
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

/** Where the issuer leads back to: what it sent along is passed on, and leaves the address bar. */
export function SignInAnswer() {
  const { error } = useQuery({
    queryKey: ['sign-in-answer'],
    queryFn: async () => {
      const given = new URLSearchParams(location.search)
      history.replaceState(null, '', location.pathname)
      const known = ['code', 'state', 'iss', 'error'].flatMap((name) => {
        const value = given.get(name)
        return value === null ? [] : [[name, value] as const]
      })
      await post('/v1/operator/oidc/answer', Object.fromEntries(known))
      location.replace('/')
      return null
    },
    staleTime: Number.POSITIVE_INFINITY,
  })
  if (error === null) return <OneMoment />
  return (
    <Sheet title="You are not signed in">
      <p role="alert">{wordsFor(error)}</p>
      {error instanceof ApiProblem && error.detail && <p>{error.detail}</p>}
      <Ways />
    </Sheet>
  )
}

interface SignInWays {
  /** The host of the OpenID provider. */
  readonly issuer: string | null
  readonly links: boolean
}

function Ways() {
  const { data: ways } = useQuery({
    queryKey: ['sign-in-ways'],
    queryFn: () => get<SignInWays>('/v1/operator/sign-in'),
    staleTime: Number.POSITIVE_INFINITY,
  })
  const begin = useMutation({
    mutationFn: async () => location.assign((await post<{ location: string }>('/v1/operator/oidc')).location),
  })
  if (ways === undefined) return null
  return (
    <>
      {ways.issuer !== null && (
        <div>
          <Button look="primary" disabled={begin.isPending} onClick={() => begin.mutate()}>
            Sign in with {ways.issuer}
          </Button>
        </div>
      )}
      {begin.error && <p role="alert">{wordsFor(begin.error)}</p>}
      {ways.links && (
        <>
          <p>
            {ways.issuer === null ? 'For a new link, run' : 'Or run'} this again in the directory of the checkout, and
            open the address that it prints:
          </p>
          <pre className={styles.command}>
            <code>npm start</code>
          </pre>
        </>
      )}
    </>
  )
}

export const NeedsSignIn = ({ used = false }: { used?: boolean }) => (
  <Sheet title={used ? 'This sign-in link is used up' : 'You are not signed in here'}>
    <p>
      {used
        ? 'Each link signs in one browser, once, and only for a short while.'
        : 'The dashboard is for the person who runs this service.'}
    </p>
    <Ways />
  </Sheet>
)

/** Who is signed in, and the way out. */
export function SignedIn() {
  const { data } = useQuery({
    queryKey: ['operator'],
    queryFn: () => get<{ name: string | null }>('/v1/operator'),
    staleTime: Number.POSITIVE_INFINITY,
  })
  const leave = useMutation({
    mutationFn: async () => {
      await post('/v1/operator/sign-out')
      location.replace('/')
    },
  })
  return (
    <div className={styles.who}>
      {leave.error ? <span role="alert">{wordsFor(leave.error)}</span> : <span>{data?.name}</span>}
      <Button disabled={leave.isPending} onClick={() => leave.mutate()}>
        Sign out
      </Button>
    </div>
  )
}
