/** Types of client messages (RFC 6143, section 7.5, and rfbproto for 255) that come of somebody's hands. */
const keyEvent = 4
const pointerEvent = 5
const clientCutText = 6
const qemuExtendedKeyEvent = 255

/** Actions of the extended clipboard; the others answer the machine and need nobody. */
const notifyAction = 1 << 27

/**
 * Tells what a person did from what a viewer's program does by itself: that asks for pictures, answers pings and clipboards and
 * follows the size of its window for hours. It looks at kinds of messages; what was typed is nobody's business here.
 */
export class InputDetector {
  #pointer: Buffer | undefined

  /** Of a whole message. */
  isInput(message: Buffer): boolean {
    switch (message.readUInt8(0)) {
      case keyEvent:
      case qemuExtendedKeyEvent:
        return true
      case pointerEvent:
        return this.#hasMoved(message)
      case clientCutText:
        return isPaste(message)
      default:
        return false
    }
  }

  /** Browsers repeat where the pointer rests when the page moves below it. Where it is at first says nothing. */
  #hasMoved(message: Buffer): boolean {
    const hasMoved = this.#pointer !== undefined && !this.#pointer.equals(message)
    this.#pointer = Buffer.from(message)
    return hasMoved
  }
}

/** A plain text, or the announcement of one: a negative length says that flags follow (the extended clipboard). */
const isPaste = (message: Buffer): boolean =>
  message.readInt32BE(4) >= 0 || (message.readUInt32BE(8) & notifyAction) !== 0
