/** The part of noVNC's interface (its docs/API.md) that the live view uses; the package brings no types. */
declare module '@novnc/novnc' {
  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, channel: WebSocket, options?: { shared?: boolean })
    background: string
    resizeSession: boolean
    scaleViewport: boolean
    viewOnly: boolean
    clipboardPasteFrom(text: string): void
    disconnect(): void
    focus(options?: FocusOptions): void
    sendKey(keysym: number, code: string | null, down?: boolean): void
    /** Not in its documentation: the size that the desktop is asked to have. Held by a test. */
    protected _requestRemoteResize(): void
    protected _screenSize(): { w: number; h: number }
  }
}
