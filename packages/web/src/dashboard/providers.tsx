import type { ProviderSummary } from '@anteroom/contract'
import { TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import { Button } from '../design/button.tsx'
import { ConnectDialog } from './connect-dialog.tsx'
import styles from './dashboard.module.css'
import { Section } from './section.tsx'

export interface ProviderProblem {
  readonly file: string
  readonly line: number
  readonly field: string
  readonly message: string
}

const kindWords = { oauth2: 'OAuth 2', website: 'Website' } as const satisfies Record<ProviderSummary['kind'], string>

interface ProvidersProps {
  readonly items: readonly ProviderSummary[] | undefined
  readonly problems: readonly ProviderProblem[]
}

export function Providers({ items, problems }: ProvidersProps) {
  const [connecting, setConnecting] = useState<ProviderSummary>()
  return (
    <>
      {problems.length > 0 && <Problems problems={problems} />}
      <Section
        title="Providers"
        items={items}
        none="None yet. Add a definition as a YAML file to the providers directory."
      >
        {(providers) => (
          <ul className={styles.cards}>
            {providers.map((provider) => (
              <li key={provider.name} className={styles.card}>
                <h3>{provider.title}</h3>
                <p className={styles.tags}>
                  <span>{kindWords[provider.kind]}</span>
                  {provider.demo && <span>Demo</span>}
                </p>
                <p className={styles.address}>{provider.opens}</p>
                <ul className={styles.captures}>
                  {provider.captures.map((line) => (
                    <li key={line}>{line}</li>
                  ))}
                </ul>
                <Button look="primary" aria-label={`Connect ${provider.title}`} onClick={() => setConnecting(provider)}>
                  Connect
                </Button>
              </li>
            ))}
          </ul>
        )}
      </Section>
      <ConnectDialog provider={connecting} onClose={() => setConnecting(undefined)} />
    </>
  )
}

const Problems = ({ problems }: { problems: readonly ProviderProblem[] }) => (
  <section className={styles.problems} role="alert">
    <h2>
      <TriangleAlert size={18} aria-hidden />{' '}
      {problems.length === 1 ? 'A provider definition is not valid' : 'Some provider definitions are not valid'}
    </h2>
    <ul>
      {problems.map(({ file, line, field, message }) => (
        <li key={`${file}:${line}:${field}`}>
          <code>
            {file}:{line}
          </code>{' '}
          {field && <code>{field}</code>} {message}
        </li>
      ))}
    </ul>
  </section>
)
