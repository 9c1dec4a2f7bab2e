import RFB from '@novnc/novnc'

/** Chromium's windows do not become narrower; on a narrower desktop their right edge would be cut off. */
const narrowestPx = 500

/** noVNC whose desktop has exactly the size of its element, or, in a narrow one, its shape, drawn smaller. */
export class FittingRfb extends RFB {
  readonly #target: HTMLElement
  readonly #observer: ResizeObserver
  #asking = false

  constructor(target: HTMLElement, socket: WebSocket, hasControl: boolean) {
    super(target, socket, { shared: true })
    this.#target = target
    this.background = 'transparent'
    this.viewOnly = !hasControl
    this.resizeSession = hasControl
    this.#observer = new ResizeObserver(() => this.#fit())
    this.#observer.observe(target)
    this.addEventListener('disconnect', () => this.#observer.disconnect())
  }

  setControl(has: boolean): void {
    if (this.viewOnly === !has) return
    this.viewOnly = !has
    this.resizeSession = has
    this.#fit()
  }

  /** Only where needed: with scaling on, a window of a fractional size would be blurred. */
  #fit(): void {
    const isNarrow = this.#target.clientWidth < narrowestPx
    const scales = isNarrow || this.viewOnly
    if (this.scaleViewport !== scales) this.scaleViewport = scales
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
