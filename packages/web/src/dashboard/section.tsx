import type { ReactNode } from 'react'
import styles from './dashboard.module.css'

interface SectionProps<T extends readonly unknown[]> {
  readonly title: string
  /** undefined until the first answer. */
  readonly items: T | undefined
  /** Say how many there are? */
  readonly count?: boolean
  /** What to say when there are none. */
  readonly none: ReactNode
  /** Between the title and the items, also where there are none. */
  readonly above?: ReactNode
  children(items: T): ReactNode
}

export function Section<const T extends readonly unknown[]>({
  title,
  items,
  count = true,
  none,
  above,
  children,
}: SectionProps<T>) {
  return (
    <section className={styles.section} aria-label={title}>
      <h2>
        {title}{' '}
        {count && items !== undefined && items.length > 0 && <span className={styles.count}>{items.length}</span>}
      </h2>
      {above}
      {items === undefined && <p className={styles.none}>Loading…</p>}
      {items?.length === 0 && <p className={styles.none}>{none}</p>}
      {items !== undefined && items.length > 0 && children(items)}
    </section>
  )
}
