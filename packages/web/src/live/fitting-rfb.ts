import RFB from '@novnc/novnc'

/** Chromium's windows do not become narrower; on a narrower desktop their right edge would be cut off. */
const narrowestPx = 500

/** noVNC whose desktop has exactly the size of its element, or, in a narrow one, its shape, drawn smaller. */
export class FittingRfb extends RFB {
  readonly #target: HTMLElement
  readonly #observer: ResizeObserver
  #asking = false

  constructor(target: HTMLElement, socket: WebSocket) {
    super(target, socket, { shared: true })
    this.#target = target
    this.background = 'transparent'
    this.resizeSession = true
    this.#observer = new ResizeObserver(() => this.#fit())
    this.#observer.observe(target)
    this.addEventListener('disconnect', () => this.#observer.disconnect())
  }

  /** Only where needed: with scaling on, a window of a fractional size would be blurred. */
  #fit(): void {
    const isNarrow = this.#target.clientWidth < narrowestPx
    if (this.scaleViewport !== isNarrow) this.scaleViewport = isNarrow
  }

  protected override _requestRemoteResize(): void {
    this.#asking = true
    super._requestRemoteResize()
    this.#asking = false
  }

  protected override _screenSize(): { w: number; h: number } {
    const { w, h } = super._screenSize()
    const factor = this.#asking ? Math.max(1, narrowestPx / w) : 1
    return { w: Math.floor(w * factor), h: Math.floor(h * factor) }
  }
}
