import { Building2, Globe, KeyRound, UserRound } from 'lucide-react'
import type { ReactNode } from 'react'
import styles from './facts.module.css'
import type { HostedPage } from './use-hosted-page.ts'

/** What the sign-in is about: who asked, for whom, where it leads, what will be taken. */
export const Facts = ({ page: { session, provider, askedBy } }: { page: HostedPage }) => (
  <dl className={styles.facts}>
    <Fact icon={<Building2 size={18} aria-hidden />} name="Asked by">
      {askedBy ?? `Whoever runs ${location.host}`}
    </Fact>
    <Fact icon={<UserRound size={18} aria-hidden />} name="For">
      {session.subject}
    </Fact>
    {provider.opens && (
      <Fact icon={<Globe size={18} aria-hidden />} name="Opens">
        <Address of={provider.opens} />
      </Fact>
    )}
    {provider.captures.length > 0 && (
      <Fact icon={<KeyRound size={18} aria-hidden />} name="Will be kept">
        {provider.captures.map((line) => (
          <span key={line} className={styles.line}>
            {line}
          </span>
        ))}
      </Fact>
    )}
  </dl>
)

const Fact = ({ icon, name, children }: { icon: ReactNode; name: string; children: ReactNode }) => (
  <div>
    <dt>
      {icon} {name}
    </dt>
    <dd>{children}</dd>
  </div>
)

/** The host stands out: it is what tells people whose page it is. */
function Address({ of }: { of: string }) {
  const url = URL.parse(of)
  const at = url === null ? -1 : of.indexOf(url.host)
  if (url === null || at < 0) return <span className={styles.address}>{of}</span>
  return (
    <span className={styles.address}>
      {of.slice(0, at)}
      <strong>{url.host}</strong>
      {of.slice(at + url.host.length)}
    </span>
  )
}
