import { useEffect } from 'react'

/**
 * Keeps `--visible-height` at what an open on-screen keyboard leaves of the window, so that the machine's desktop follows.
 * Safari on iOS tells only the visual viewport of it.
 */
export function useVisibleHeight(): void {
  useEffect(() => {
    const viewport = window.visualViewport
    if (!viewport) return
    const { style } = document.documentElement
    const follow = (): void => {
      // Zoomed in with two fingers, the visual viewport is small for another reason.
      if (viewport.scale === 1) style.setProperty('--visible-height', `${viewport.height}px`)
    }
    follow()
    viewport.addEventListener('resize', follow)
    return () => {
      viewport.removeEventListener('resize', follow)
      style.removeProperty('--visible-height')
    }
  }, [])
}
