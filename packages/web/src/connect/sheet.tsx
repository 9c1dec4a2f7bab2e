import type { ReactNode } from 'react'
import { Licences } from '../design/licences.tsx'
import styles from './sheet.module.css'

/** The frame of everything on the hosted page that is not the screen. */
export function Sheet({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  return (
    <div className={styles.page}>
      <header className={styles.brand}>
        <img src="/favicon.svg" alt="" width="24" height="24" />
        Anteroom
      </header>
      <main className={styles.main}>
        {lead}
        <h1 className={styles.title}>{title}</h1>
        {children}
      </main>
      <footer className={styles.footer}>
        <Licences />
      </footer>
    </div>
  )
}

/** A line over everything else, for a passing trouble. */
export const Note = ({ children }: { children: ReactNode }) => (
  <p role="alert" className={styles.note}>
    {children}
  </p>
)
