import { createCipheriv } from 'node:crypto'

const reversedBits = (byte: number): number => {
  let reversed = 0
  for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) reversed |= 0x80 >> bit
  return reversed
}

/**
 * The answer to a VncAuth challenge (RFC 6143 section 7.2.2): DES in ECB mode under the password, whose bytes go in with
 * their bits reversed (RFC errata 4951). OpenSSL 3 keeps single DES in its legacy provider only; triple DES with three
 * equal keys is the same function.
 */
export function vncAuthResponse(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8)
  key.set(Buffer.from(password, 'latin1').subarray(0, 8).map(reversedBits))
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null)
  cipher.setAutoPadding(false)
  return Buffer.concat([cipher.update(challenge), cipher.final()])
}
