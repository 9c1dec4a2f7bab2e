import { randomBytes } from 'node:crypto'
import { type IdKind, idPrefixes } from '@anteroom/contract'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** A new id such as `ses_…`: 24 base32 characters, 120 random bits. */
export const newId = (kind: IdKind): string =>
  `${idPrefixes[kind]}_${Array.from(randomBytes(24), (byte) => alphabet[byte & 31]).join('')}`

/** 32 random bytes as base64url, for everything that only its holder may know. */
export const newToken = (): string => randomBytes(32).toString('base64url')
