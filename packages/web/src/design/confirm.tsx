import { AlertDialog } from '@base-ui/react/alert-dialog'
import { type ReactNode, useState } from 'react'
import { wordsFor } from '../api/api.ts'
import { Button, buttonClass } from './button.tsx'
import styles from './dialog.module.css'

interface ConfirmProps {
  readonly open: boolean
  readonly title: string
  readonly children: ReactNode
  /** Words on the button that does it, and on the one that does not. */
  readonly yes: string
  readonly no: string
  onClose(): void
  act(): Promise<unknown>
}

/** Asks before something that cannot be undone; stays open, saying why, when it did not work. */
export function Confirm({ open, title, children, yes, no, onClose, act }: ConfirmProps) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const run = async (): Promise<void> => {
    setBusy(true)
    setError(undefined)
    try {
      await act()
      onClose()
    } catch (failure) {
      setError(wordsFor(failure))
    } finally {
      setBusy(false)
    }
  }
  return (
    <AlertDialog.Root open={open} onOpenChange={(next) => next || onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={styles.backdrop} />
        <AlertDialog.Popup className={styles.popup}>
          <AlertDialog.Title className={styles.title}>{title}</AlertDialog.Title>
          <AlertDialog.Description className={styles.description}>{children}</AlertDialog.Description>
          {error && (
            <p role="alert" className={styles.error}>
              {error}
            </p>
          )}
          <div className={styles.actions}>
            <AlertDialog.Close className={buttonClass('quiet')}>{no}</AlertDialog.Close>
            <Button look="danger" disabled={busy} onClick={() => void run()}>
              {yes}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
