import { useQueryClient } from '@tanstack/react-query'
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react'
import { keepLive, type LiveLine, type LiveState } from '../live/live-line.ts'
import { pageKey } from './use-hosted-page.ts'

/** The session's screen in `target`, kept connected as long as the component is there. */
export function useLiveScreen(sessionId: string, target: RefObject<HTMLElement | null>) {
  const client = useQueryClient()
  const [live, setLive] = useState<LiveState>({ phase: 'connecting' })
  const line = useRef<LiveLine>(undefined)
  useEffect(() => {
    if (!target.current) return
    const opened = keepLive({
      sessionId,
      target: target.current,
      onState: setLive,
      onCut: () => void client.invalidateQueries({ queryKey: pageKey(sessionId) }),
    })
    line.current = opened
    return () => opened.close()
  }, [sessionId, target, client])
  const retry = useCallback(() => line.current?.retry(), [])
  return { live, retry }
}
