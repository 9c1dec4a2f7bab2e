/** The part of noVNC's public interface (its docs/API.md) that the live view uses; the package brings no types. */
declare module '@novnc/novnc' {
  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, channel: WebSocket, options?: { shared?: boolean })
    background: string
    focusOnClick: boolean
    resizeSession: boolean
    scaleViewport: boolean
    clipboardPasteFrom(text: string): void
    disconnect(): void
    focus(options?: FocusOptions): void
    sendKey(keysym: number, code: string | null, down?: boolean): void
  }
}
