import { RfbViolation } from '@anteroom/rfb'
import { clientMessages, noteFeatures, type ViewerFeatures } from './client-messages.ts'
import type { LiveAccess, LivePolicy } from './live.ts'

const nothing = Buffer.alloc(0)
const [clientCutText, setDesktopSize] = [6, 251]

/** Types of messages that the operator's policy lets nobody send. */
const deniedBy = ({ clipboard_to_machine, resize }: LivePolicy): readonly number[] => [
  ...(clipboard_to_machine === 'on' ? [] : [clientCutText]),
  ...(resize === 'on' ? [] : [setDesktopSize]),
]

/**
 * Takes what a viewer sends after the handshake, in pieces of any size, and gives the whole messages that may reach the
 * machine. Only whole messages are passed on, so the server cuts the stream where this parser did.
 */
export class ClientMessageFilter {
  readonly #access: () => LiveAccess
  readonly #denied: readonly number[]
  readonly #features: ViewerFeatures = { extendedMouseButtons: false }
  #held: Buffer = nothing
  #heldBytes = 0
  /** Nothing more can be said before so many bytes of the current message are here. */
  #neededBytes = 1

  /** Asked for each message: control is handed over while the view is open. */
  constructor(access: () => LiveAccess, policy: LivePolicy) {
    this.#access = access
    this.#denied = deniedBy(policy)
  }

  /** @throws RfbViolation */
  push(chunk: Buffer): Buffer[] {
    const data = this.#withHeld(chunk)
    const passed: Buffer[] = []
    for (let offset = 0; offset < data.length; ) {
      const rest = data.subarray(offset)
      this.#neededBytes = this.#lengthOf(rest)
      if (rest.length < this.#neededBytes) {
        this.#hold(rest)
        break
      }
      const message = rest.subarray(0, this.#neededBytes)
      noteFeatures(message, this.#features)
      if (this.#passes(message.readUInt8(0))) passed.push(message)
      offset += message.length
    }
    return passed
  }

  #passes(type: number): boolean {
    return !this.#denied.includes(type) && clientMessages.get(type)?.passes.includes(this.#access()) === true
  }

  /** Length of the message at the start of `data`, or of its header while that is incomplete. */
  #lengthOf(data: Buffer): number {
    const type = data.readUInt8(0)
    const rule = clientMessages.get(type)
    if (!rule) throw new RfbViolation(`unknown message type ${type}`)
    return data.length < rule.headerBytes ? rule.headerBytes : rule.length(data, this.#features)
  }

  #withHeld(chunk: Buffer): Buffer {
    if (this.#heldBytes === 0) return chunk
    this.#hold(chunk)
    if (this.#heldBytes < this.#neededBytes) return nothing
    const data = this.#held.subarray(0, this.#heldBytes)
    this.#held = nothing
    this.#heldBytes = 0
    return data
  }

  /** Grows by doubling: a megabyte that comes byte by byte must not be copied a million times. */
  #hold(chunk: Buffer): void {
    const bytes = this.#heldBytes + chunk.length
    if (bytes > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#held.length, 64))
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    chunk.copy(this.#held, this.#heldBytes)
    this.#heldBytes = bytes
  }
}
