/**
 * Follows the frames of a WebSocket server (RFC 6455 section 5.2) and tells how many bytes of payload there were: a viewer that
 * costs next to nothing. Control frames count for nothing.
 */
export class FrameCounter {
  #header = Buffer.alloc(10)
  #headerBytes = 0
  #payloadLeft = 0
  #isData = true

  /** Gives the bytes of data in `chunk`. */
  count(chunk: Uint8Array): number {
    let data = 0
    for (let at = 0; at < chunk.length; ) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - at)
        this.#payloadLeft -= taken
        at += taken
        if (this.#isData) data += taken
        continue
      }
      this.#header[this.#headerBytes++] = chunk[at++] ?? 0
      this.#readHeader()
    }
    return data
  }

  #readHeader(): void {
    const short = (this.#header[1] ?? 0) & 0x7f
    const needed = this.#headerBytes < 2 ? 2 : short === 127 ? 10 : short === 126 ? 4 : 2
    if (this.#headerBytes < needed) return
    this.#headerBytes = 0
    this.#isData = ((this.#header[0] ?? 0) & 0x0f) < 8
    if (short === 127) this.#payloadLeft = Number(this.#header.readBigUInt64BE(2))
    else this.#payloadLeft = short === 126 ? this.#header.readUInt16BE(2) : short
  }
}

const mask = Buffer.of(0x37, 0xfa, 0x21, 0x3d)

/** One binary frame as a client sends it; up to 125 bytes. */
export const clientFrame = (payload: Buffer): Buffer =>
  Buffer.concat([Buffer.of(0x82, 0x80 | payload.length), mask, payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))])
