import { type RefObject, useEffect, useRef } from 'react'

const signs = ['keydown', 'input', 'pointerdown', 'pointermove', 'paste'] as const

/** When the person last typed or pointed in `area`, by this device's clock, while that reached the machine (`counts`). */
export function useLastInput(area: RefObject<HTMLElement | null>, counts: boolean): RefObject<number | undefined> {
  const lastAt = useRef<number>(undefined)
  useEffect(() => {
    if (!counts || !area.current) return
    const over = new AbortController()
    let place = ''
    const note = (event: Event): void => {
      if (event.type === 'pointermove') {
        // Browsers repeat where the pointer rests when the page moves below it.
        const { clientX, clientY } = event as PointerEvent
        const before = place
        place = `${clientX} ${clientY}`
        if (before === '' || before === place) return
      }
      lastAt.current = Date.now()
    }
    // Before noVNC, which keeps the events to itself.
    for (const sign of signs) area.current.addEventListener(sign, note, { capture: true, signal: over.signal })
    return () => over.abort()
  }, [area, counts])
  return lastAt
}
