/** More than hands have fingers; a viewer that presses for ever must not fill the memory. */
const mostKeys = 64

const keyEvent = 4
const pointerEvent = 5
const qemuExtendedKeyEvent = 255

/** Which keys and buttons are down, by the messages that have been passed on (RFC 6143 section 7.5; rfbproto for 255). */
export class HeldInput {
  /** The message that lets go of it, by what names the key. */
  readonly #keys = new Map<string, Buffer>()
  #pointer: Buffer | undefined

  /** Of a whole message. */
  note(message: Buffer): void {
    switch (message.readUInt8(0)) {
      case keyEvent:
        this.#key(message, 1, 1)
        break
      case qemuExtendedKeyEvent:
        this.#key(message, 2, 2)
        break
      case pointerEvent:
        this.#pointer = message.readUInt8(1) === 0 ? undefined : Buffer.from(message.subarray(0, 6))
    }
  }

  /** What lets go of everything; afterwards nothing is held. */
  release(): Buffer[] {
    const messages = [...this.#keys.values()]
    this.#keys.clear()
    if (this.#pointer) {
      // Without the marker of extended buttons it has six bytes, whatever the viewer has asked for.
      this.#pointer[1] = 0
      messages.push(this.#pointer)
    }
    this.#pointer = undefined
    return messages
  }

  /** The down flag is a number of so many bytes. */
  #key(message: Buffer, at: number, bytes: number): void {
    const up = Buffer.from(message)
    up.fill(0, at, at + bytes)
    const name = up.toString('latin1')
    this.#keys.delete(name)
    if (message.readUIntBE(at, bytes) === 0) return
    if (this.#keys.size >= mostKeys) this.#keys.delete(this.#keys.keys().next().value ?? '')
    this.#keys.set(name, up)
  }
}
