import type { Image, Machine, PoolStatus } from '@anteroom/contract'
import { useNow } from '../clock.ts'
import { formatAge, formatBytes, formatDuration } from '../session/format-time.ts'
import styles from './dashboard.module.css'
import { Pool } from './pool.tsx'
import { Section } from './section.tsx'

const acceleratorWords = { kvm: 'KVM', tcg: 'emulated' } as const satisfies Record<Machine['accelerator'], string>

const originWords = {
  warm: 'woken from the pool',
  restored: 'restored',
  booted: 'booted',
} as const satisfies Record<NonNullable<Machine['origin']>, string>

const stateWords = ({ session_id, origin, ready_at }: Machine): string => {
  if (session_id !== null) return origin === null ? 'starting' : originWords[origin]
  return ready_at === null ? 'being made for the pool' : 'waits in the pool'
}

interface HostProps {
  readonly machines: readonly Machine[] | undefined
  readonly images: readonly Image[] | undefined
  readonly pool: PoolStatus | undefined
}

/** What this host has: machines, golden images, and what is made of them ahead of need. */
export function Host({ machines, images, pool }: HostProps) {
  const now = useNow()
  return (
    <div className={styles.pair}>
      <Section title="Machines" items={machines} none="None exists.">
        {(items) => (
          <ul className={styles.rows}>
            {items.map((machine) => (
              <li key={machine.id} className={styles.row}>
                <div>
                  <h3>
                    <code>{machine.vm_ip}</code>{' '}
                    <span>
                      {stateWords(machine)}, {acceleratorWords[machine.accelerator]}, {machine.slot_kind} network,{' '}
                      {formatAge(now - Date.parse(machine.created_at))} old
                    </span>
                  </h3>
                  <p className={styles.fine}>
                    <code>{machine.id}</code>
                  </p>
                </div>
              </li>
            ))}
          </ul>
        )}
      </Section>
      <Section title="Golden image" items={images} none="None is built yet. Run npm start or npm run image.">
        {(items) => (
          <ul className={styles.rows}>
            {items.map((image) => (
              <li key={image.id} className={styles.row}>
                <div>
                  <h3>
                    Debian {image.suite}{' '}
                    <span>
                      {image.browser_version && `Chromium ${image.browser_version}, `}kernel {image.kernel_version}
                    </span>
                  </h3>
                  <p className={styles.fine}>
                    {formatBytes(image.bytes)} · built {formatAge(now - Date.parse(image.built_at))} ago in{' '}
                    {formatDuration(image.build_seconds * 1000)} · screen painted{' '}
                    {formatDuration(image.boot_test.painted_ms)} after boot (
                    {acceleratorWords[image.boot_test.accelerator]})
                  </p>
                  <p className={styles.fine}>
                    <code>{image.id}</code>
                  </p>
                </div>
                {image.current && (
                  <span className={styles.mark} data-mark="completed">
                    Current
                  </span>
                )}
              </li>
            ))}
          </ul>
        )}
      </Section>
      <Pool pool={pool} />
    </div>
  )
}
