import { createHash } from 'node:crypto'
import { resolve } from 'node:path'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/**
 * Six characters that mark what belongs to one state directory: processes, namespaces, links. Two controllers on one host
 * never touch each other's. Six, because a link's name holds 15 (IFNAMSIZ) and `ar-<tag>-<index>` must fit.
 */
export const instanceTag = (home: string): string =>
  Array.from(createHash('sha256').update(resolve(home)).digest().subarray(0, 6), (byte) => alphabet[byte & 31]).join('')
