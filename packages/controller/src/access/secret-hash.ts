import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * SHA-256 of a secret, hexadecimal: how every token is kept in the database. No salt and no slow hash, because each is
 * 256 random bits: there is nothing to guess.
 */
export const secretHash = (secret: string): string => createHash('sha256').update(secret).digest('hex')

/** Takes the same time whether there is something to compare with or not, and wherever the two differ. */
export function matchesHash(secret: string, hash: string | undefined): boolean {
  const equal = timingSafeEqual(Buffer.from(secretHash(secret)), Buffer.from(hash?.length === 64 ? hash : absent))
  return equal && hash !== undefined
}

const absent = secretHash('')
