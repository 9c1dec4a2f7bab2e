/**
 * Ctrl+V and Command+V on the screen. noVNC would send the keys alone, and the machine would paste its own, empty,
 * clipboard. Hidden from noVNC, the keys make this browser fire `paste`, which carries the text without asking for any
 * permission.
 */
export function clipboardOf(
  target: HTMLElement,
  paste: (text: string, held: 'control' | 'meta') => void,
  signal: AbortSignal,
): void {
  let held: 'control' | 'meta' = 'control'
  target.addEventListener(
    'keydown',
    (event) => {
      const pastes = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === 'v'
      if (!pastes) return
      held = event.metaKey ? 'meta' : 'control'
      event.stopPropagation()
    },
    { capture: true, signal },
  )
  // Fired at the body where nothing editable has the focus.
  document.addEventListener(
    'paste',
    (event) => {
      const text = event.clipboardData?.getData('text/plain')
      if (!text || !target.contains(document.activeElement)) return
      event.preventDefault()
      paste(text, held)
    },
    { signal },
  )
}
