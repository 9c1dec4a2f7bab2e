import { clipboardOf } from './clipboard.ts'
import { keysyms } from './typed-text.ts'

/** One connection to the machine's screen, drawn into an element. */
export interface Screen {
  /** true when the first whole picture has been drawn; false when the connection ended before. */
  readonly painted: Promise<boolean>
  readonly closed: Promise<{ code: number }>
  /** Without control nothing is sent, and the desktop, whose size is another's, is drawn to fit. */
  setControl(has: boolean): void
  focus(): void
  /** Presses and releases a key. */
  press(keysym: number): void
  /** Puts the text on the machine's clipboard and pastes it there. */
  paste(text: string): void
  disconnect(): void
}

/** Fetches noVNC, which only the live view needs; called early, it loads while the machine starts. */
export const loadViewer = () => import('./fitting-rfb.ts')

export async function openScreen(target: HTMLElement, url: string, hasControl: boolean): Promise<Screen> {
  const { FittingRfb } = await loadViewer()
  const socket = new WebSocket(url, ['binary'])
  const over = new AbortController()
  // noVNC tells nobody the close code, so the socket is ours.
  const closed = new Promise<{ code: number }>((resolve) =>
    socket.addEventListener('close', ({ code }) => {
      over.abort()
      resolve({ code })
    }),
  )
  const rfb = new FittingRfb(target, socket, hasControl)

  const press = (keysym: number, code: string | null = null): void => {
    rfb.sendKey(keysym, code, true)
    rfb.sendKey(keysym, code, false)
  }
  const pasteWith = (text: string, held: 'control' | 'meta' | 'none'): void => {
    rfb.clipboardPasteFrom(text)
    // noVNC sends a Mac's Command key as Alt; with that down the next keys would mean something else.
    if (held === 'meta') rfb.sendKey(keysyms.AltLeft, 'MetaLeft', false)
    if (held !== 'control') rfb.sendKey(keysyms.ControlLeft, 'ControlLeft', true)
    press('v'.charCodeAt(0), 'KeyV')
    if (held !== 'control') rfb.sendKey(keysyms.ControlLeft, 'ControlLeft', false)
  }
  clipboardOf(target, pasteWith, over.signal)

  return {
    painted: wholePicture(target, over.signal),
    closed,
    setControl: (has) => rfb.setControl(has),
    focus: () => rfb.focus({ preventScroll: true }),
    press: (keysym) => press(keysym),
    paste: (text) => pasteWith(text, 'none'),
    disconnect: () => {
      over.abort()
      rfb.disconnect()
    },
  }
}

/** noVNC has no event for it: its canvas is transparent until a picture covers it, so a few points of it are watched. */
function wholePicture(target: HTMLElement, signal: AbortSignal): Promise<boolean> {
  const points = 8
  const probe = document.createElement('canvas')
  probe.width = points
  probe.height = points
  const context = probe.getContext('2d', { willReadFrequently: true })
  const isWhole = (): boolean => {
    const canvas = target.querySelector('canvas')
    if (!context || !canvas || canvas.width === 0 || canvas.height === 0) return false
    context.clearRect(0, 0, points, points)
    context.drawImage(canvas, 0, 0, points, points)
    const { data } = context.getImageData(0, 0, points, points)
    return data.every((value, index) => index % 4 !== 3 || value === 255)
  }
  return new Promise((resolve) => {
    const look = (): void => {
      if (signal.aborted || isWhole()) resolve(!signal.aborted)
      else requestAnimationFrame(look)
    }
    look()
    // A hidden tab draws no frames: there the next look may never come.
    signal.addEventListener('abort', () => resolve(false), { once: true })
  })
}
