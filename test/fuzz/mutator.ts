/** Numbers that parsers stumble over: signs, sizes of counters, ends of ranges. */
const awkward = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
]

/** Changes bytes at random, the same for the same seed. */
export class Mutator {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** From 0 to just below `below` (mulberry32). */
  int(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.int(values.length)]
    if (value === undefined) throw new Error('there is nothing to pick from')
    return value
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.int(256)))
  }

  /** Wrong in a few places. */
  mutate(original: Buffer): Buffer {
    let bytes = Buffer.from(original)
    for (let times = 1 + this.int(4); times > 0; times--) bytes = Buffer.from(this.#once(bytes))
    return bytes
  }

  #once(bytes: Buffer): Buffer {
    const at = this.int(bytes.length + 1)
    switch (this.int(7)) {
      case 0:
        if (at < bytes.length) bytes.writeUInt8((bytes.readUInt8(at) ^ (1 << this.int(8))) & 0xff, at)
        return bytes
      case 1:
        return bytes.subarray(0, at)
      case 2:
        return Buffer.concat([bytes.subarray(0, at), this.bytes(1 + this.int(16)), bytes.subarray(at)])
      case 3:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + this.int(16))])
      case 4:
        // Once more what was there.
        return Buffer.concat([bytes, bytes.subarray(at)])
      case 5:
        if (at + 4 <= bytes.length) bytes.writeUInt32BE(this.pick(awkward), at)
        return bytes
      default:
        if (at + 2 <= bytes.length) bytes.writeUInt16BE(this.pick(awkward) & 0xffff, at)
        return bytes
    }
  }

  /** As it may come over a network: at once, byte by byte, or in between. */
  pieces(bytes: Buffer): Buffer[] {
    const size = this.pick([1, 1 + this.int(7), Math.max(1, bytes.length)])
    return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size))
  }
}
