import type { Viewer } from '@anteroom/contract'
import { useQueryClient } from '@tanstack/react-query'
import { Eye, MousePointer2 } from 'lucide-react'
import { useState } from 'react'
import { post, wordsFor } from '../api/api.ts'
import { Button } from '../design/button.tsx'
import { Confirm } from '../design/confirm.tsx'
import { type Company, controlWords, nameOf, watchingWords } from '../live/company.ts'
import styles from './company-bar.module.css'
import { Note } from './sheet.tsx'
import { pageKey } from './use-hosted-page.ts'

/** In the bar: that somebody else sees this screen, and who. */
export function Watching({ others }: { others: readonly Viewer[] }) {
  if (others.length === 0) return null
  const words = watchingWords(others.length)
  const who = [...new Set(others.map(nameOf))].join(', ')
  return (
    <div className={styles.watching} role="status" title={`${words}: ${who}`} data-watched data-testid="watching">
      <Eye size={16} aria-hidden />
      <span>{words}</span>
    </div>
  )
}

interface ControlProps {
  readonly sessionId: string
  /** Of this page. */
  readonly viewerId: string
  readonly company: Company
}

/** Over the lower edge of a screen that somebody else operates: who, and the button that asks for it or takes it back. */
export function ControlStrip({ sessionId, viewerId, company }: ControlProps) {
  const { controller, isOwner, asks } = company
  const client = useQueryClient()
  const [trouble, setTrouble] = useState<string>()
  const act = (what: 'ask' | 'control', body?: object): void => {
    setTrouble(undefined)
    post(`/v1/sessions/${sessionId}/viewers/${viewerId}/${what}`, body)
      .then(() => client.invalidateQueries({ queryKey: pageKey(sessionId) }))
      .catch((error: unknown) => setTrouble(wordsFor(error)))
  }
  return (
    <>
      <div className={styles.strip} role="status" data-testid="control-strip">
        <MousePointer2 size={18} aria-hidden />
        <p>{asks ? 'You asked for keyboard and mouse. Waiting for the answer.' : controlWords(controller)}</p>
        {isOwner && (
          <Button look="primary" onClick={() => act('control', { give: true })}>
            Take back
          </Button>
        )}
        {!isOwner && !asks && <Button onClick={() => act('ask')}>Ask for control</Button>}
      </div>
      {trouble && <Note>{trouble}</Note>}
    </>
  )
}

/** Asks whoever has keyboard and mouse whether somebody else may have them. Whatever is not a yes is a no. */
export function ControlQuestion({ sessionId, asking }: { sessionId: string; asking: Viewer }) {
  const client = useQueryClient()
  const answer = async (give: boolean): Promise<void> => {
    await post(`/v1/sessions/${sessionId}/viewers/${asking.id}/control`, { give })
    await client.invalidateQueries({ queryKey: pageKey(sessionId) })
  }
  const [isGiven, setGiven] = useState(false)
  return (
    <Confirm
      open
      title="Give away keyboard and mouse?"
      yes="Give control"
      no="Keep"
      // Somebody who has left meanwhile needs no answer.
      onClose={() => isGiven || answer(false).catch(() => undefined)}
      act={async () => {
        await answer(true)
        setGiven(true)
      }}
    >
      {`${nameOf(asking)} sees this screen and asks to operate it. `.replace(/^./, (first) => first.toUpperCase())}
      They could act in your account until you take it back, which you can at any time.
    </Confirm>
  )
}
