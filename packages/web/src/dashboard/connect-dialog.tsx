import type { CreatedSession, ProviderSummary } from '@anteroom/contract'
import { Dialog } from '@base-ui/react/dialog'
import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { post } from '../api/api.ts'
import { Button, buttonClass } from '../design/button.tsx'
import styles from '../design/dialog.module.css'
import field from '../design/field.module.css'

interface ConnectDialogProps {
  /** undefined: closed. */
  readonly provider: ProviderSummary | undefined
  onClose(): void
}

/** Asks whose account it is, creates the session and opens its page in a new tab. */
export function ConnectDialog({ provider, onClose }: ConnectDialogProps) {
  return (
    <Dialog.Root open={provider !== undefined} onOpenChange={(next) => next || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Popup className={styles.popup}>
          {provider && <ConnectForm provider={provider} onClose={onClose} />}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

function ConnectForm({ provider, onClose }: { provider: ProviderSummary; onClose: () => void }) {
  const client = useQueryClient()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const [blockedUrl, setBlockedUrl] = useState<string>()
  const start = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault()
    const subject = new FormData(event.currentTarget).get('subject')
    // Opened within the click: later it would be a pop-up, and blocked.
    const tab = window.open('', '_blank')
    setBusy(true)
    setError(undefined)
    try {
      const session = await post<CreatedSession>('/v1/sessions', { provider: provider.name, subject })
      void client.invalidateQueries()
      if (tab) {
        tab.opener = null
        tab.location.replace(session.hosted_url)
        onClose()
      } else setBlockedUrl(session.hosted_url)
    } catch (failure) {
      tab?.close()
      setError(failure instanceof Error ? failure.message : String(failure))
    } finally {
      setBusy(false)
    }
  }
  if (blockedUrl)
    return (
      <>
        <Dialog.Title className={styles.title}>The session has started</Dialog.Title>
        <Dialog.Description className={styles.description}>
          This browser blocked the new tab. The link opens once:
        </Dialog.Description>
        <div className={styles.actions}>
          <a className={buttonClass('primary')} href={blockedUrl} target="_blank" rel="noreferrer" onClick={onClose}>
            Open its page
          </a>
        </div>
      </>
    )
  return (
    <form onSubmit={(event) => void start(event)}>
      <Dialog.Title className={styles.title}>Connect {provider.title}</Dialog.Title>
      <Dialog.Description className={styles.description}>
        A private computer starts; its screen opens in a new tab.
      </Dialog.Description>
      <label className={field.label}>
        Subject (whose account this is)
        <input className={field.input} name="subject" defaultValue="me" required maxLength={200} autoComplete="off" />
      </label>
      {error && (
        <p role="alert" className={styles.error}>
          {error}
        </p>
      )}
      <div className={styles.actions}>
        <Dialog.Close className={buttonClass('quiet')}>Close</Dialog.Close>
        <Button look="primary" type="submit" disabled={busy}>
          Start
        </Button>
      </div>
    </form>
  )
}
