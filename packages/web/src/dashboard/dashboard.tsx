import type { Connection, DoctorReport, Image, Machine, PoolStatus, ProviderSummary, Session } from '@anteroom/contract'
import { ApiProblem } from '../api/api.ts'
import { Licences } from '../design/licences.tsx'
import { Audit } from './audit.tsx'
import { Connections } from './connections.tsx'
import styles from './dashboard.module.css'
import { Doctor, DoctorAlarm } from './doctor.tsx'
import { Host } from './host.tsx'
import { type ProviderProblem, Providers } from './providers.tsx'
import { Sessions } from './sessions.tsx'
import { NeedsSignIn, SignedIn } from './sign-in.tsx'
import { usePolled } from './use-polled.ts'

const shownSessions = 50
/** It looks at the whole host each time. */
const doctorEveryMs = 60_000

/** The operator's page: everything there is, renewed every two seconds. */
export function Dashboard() {
  const providers = usePolled<{ items: ProviderSummary[]; problems: ProviderProblem[] }>('/v1/providers')
  const sessions = usePolled<{ items: Session[]; next_cursor: string | null }>(`/v1/sessions?limit=${shownSessions}`)
  const connections = usePolled<{ items: Connection[] }>('/v1/connections')
  const machines = usePolled<{ items: Machine[] }>('/v1/machines')
  const images = usePolled<{ items: Image[] }>('/v1/images')
  const pool = usePolled<PoolStatus>('/v1/pool')
  const doctor = usePolled<DoctorReport>('/v1/doctor', doctorEveryMs)
  const all = [providers, sessions, connections, machines, images, pool, doctor]
  const failed = all.find((query) => query.error !== null)?.error
  if (failed instanceof ApiProblem && failed.status === 401) return <NeedsSignIn />
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <img src="/favicon.svg" alt="" width="28" height="28" />
        <h1>Anteroom</h1>
        <p>Every sign-in gets its own computer.</p>
        <SignedIn />
      </header>
      {failed && (
        <p role="alert" className={styles.trouble}>
          {failed instanceof ApiProblem ? `${failed.message} ${failed.hint}` : failed.message} What you see may be old.
          Trying again.
        </p>
      )}
      <main className={styles.main}>
        <DoctorAlarm report={doctor.data} />
        <Providers items={providers.data?.items} problems={providers.data?.problems ?? []} />
        <Sessions
          items={sessions.data?.items}
          more={sessions.data?.next_cursor != null}
          providers={providers.data?.items ?? []}
        />
        <Connections items={connections.data?.items} />
        <div id="doctor">
          <Doctor report={doctor.data} isLooking={doctor.isFetching} onLook={() => void doctor.refetch()} />
        </div>
        <Audit />
        <Host machines={machines.data?.items} images={images.data?.items} pool={pool.data} />
      </main>
      <footer className={styles.footer}>
        <Licences />
      </footer>
    </div>
  )
}
