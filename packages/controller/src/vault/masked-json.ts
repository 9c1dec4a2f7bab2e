import { isUtf8 } from 'node:buffer'

/** A credential without its secrets, and where in the bytes its value lies. */
export interface MaskedJson {
  /** The same JSON with '' for each string below `value` but those that say what form it has. */
  readonly content: unknown
  /** From the first byte of the value of the member `value` to the one after its last. */
  readonly value: { readonly start: number; readonly end: number }
}

const quote = 0x22
const backslash = 0x5c
const deepest = 64

interface Level {
  readonly isObject: boolean
  /** In an object: a name comes next, not a value. */
  wantsName: boolean
  name: string
}

/**
 * JSON of which the secrets never become JavaScript strings: those can be neither overwritten nor found again, and lie in memory
 * until something else happens to take their place. Throws what is wrong, never with a part of the content.
 */
export function maskJson(bytes: Buffer): MaskedJson {
  if (!isUtf8(bytes)) throw new Error('it is not UTF-8')
  const kept: Buffer[] = []
  const levels: Level[] = []
  let names = 0
  let from = 0
  let value = { start: -1, end: -1 }
  for (let at = 0; at < bytes.length; at++) {
    const level = levels.at(-1)
    switch (bytes[at]) {
      case quote: {
        const end = endOfString(bytes, at + 1)
        if (level?.isObject && level.wantsName) {
          level.name = bytes.toString('utf8', at + 1, end)
          level.wantsName = false
          names++
        } else if (isSecret(levels)) {
          kept.push(bytes.subarray(from, at + 1))
          from = end
        }
        at = end
        break
      }
      case 0x7b: // {
      case 0x5b: // [
        if (levels.length === deepest) throw new Error(`it is nested more than ${deepest} deep`)
        levels.push({ isObject: bytes[at] === 0x7b, wantsName: true, name: '' })
        break
      case 0x7d: // }
      case 0x5d: // ]
        if (levels.length === 1 && level?.name === 'value' && value.end < 0) value = { ...value, end: at }
        levels.pop()
        break
      case 0x3a: // :
        if (levels.length === 1 && level?.name === 'value') value = { start: at + 1, end: -1 }
        break
      case 0x2c: // ,
        if (levels.length === 1 && level?.name === 'value' && value.end < 0) value = { ...value, end: at }
        if (level) level.wantsName = true
        break
      default:
    }
  }
  kept.push(bytes.subarray(from))
  return { content: parse(Buffer.concat(kept).toString('utf8'), names), value }
}

/** What says which form the value has is none; everything else below `value` is taken for one. */
function isSecret(levels: readonly Level[]): boolean {
  const [top, first, second] = levels
  if (top?.name !== 'value') return false
  const name = levels.at(-1)?.name
  if (levels.length === 2 && first?.isObject) return name !== 'kind' && name !== 'expires_at'
  return !(name === 'sameSite' && levels.length === 5 && first?.name === 'storage_state' && second?.name === 'cookies')
}

/** Where the closing quote is. What RFC 8259, section 7, forbids in a string is refused here: nobody else looks at it. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === quote) return at
    if (byte < 0x20) throw new Error('it is not JSON')
    if (byte !== backslash) continue
    at++
    if (bytes[at] === 0x75) {
      if (!/^[0-9a-f]{4}$/i.test(bytes.toString('latin1', at + 1, at + 5))) throw new Error('it is not JSON')
      at += 4
    } else if (!'"\\/bfnrt'.includes(String.fromCharCode(bytes[at] ?? 0))) throw new Error('it is not JSON')
  }
  throw new Error('it is not JSON')
}

function parse(text: string, names: number): unknown {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    throw new Error('it is not JSON')
  }
  // Of two members of one name each reader may take another.
  if (countNames(content) !== names) throw new Error('it says something twice')
  return content
}

function countNames(content: unknown): number {
  if (typeof content !== 'object' || content === null) return 0
  const children = Object.values(content)
  const below = children.reduce<number>((sum, child) => sum + countNames(child), 0)
  return Array.isArray(content) ? below : below + children.length
}
