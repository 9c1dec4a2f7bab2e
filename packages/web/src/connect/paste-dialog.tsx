import { Dialog } from '@base-ui/react/dialog'
import { type FormEvent, useRef } from 'react'
import { Button, buttonClass } from '../design/button.tsx'
import styles from '../design/dialog.module.css'
import field from '../design/field.module.css'

interface PasteDialogProps {
  readonly open: boolean
  onClose(): void
  onText(text: string): void
}

/** For browsers that do not let a page read the clipboard. */
export function PasteDialog({ open, onClose, onText }: PasteDialogProps) {
  const input = useRef<HTMLInputElement>(null)
  const send = (event: FormEvent): void => {
    event.preventDefault()
    const text = input.current?.value
    if (text) onText(text)
    onClose()
  }
  return (
    <Dialog.Root open={open} onOpenChange={(next) => next || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Popup className={styles.popup} initialFocus={input}>
          <form onSubmit={send}>
            <Dialog.Title className={styles.title}>Paste into the private computer</Dialog.Title>
            <Dialog.Description className={styles.description}>
              Paste here, then send. It goes to the field that you tapped last.
            </Dialog.Description>
            <label className={field.label}>
              <span className="unseen">Text</span>
              {/* It may be a password. */}
              <input ref={input} className={field.input} type="password" autoComplete="off" />
            </label>
            <div className={styles.actions}>
              <Dialog.Close className={buttonClass('quiet')}>Close</Dialog.Close>
              <Button look="primary" type="submit">
                Send
              </Button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
