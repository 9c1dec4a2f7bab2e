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
  return des(key, challenge)
}

/** The fixed key that every VNC server knows, bits reversed: it hides the password from a glance, not from anybody who wants it. */
const passwordFileKey = Buffer.from('e84ad660c4721ae0', 'hex')

/** A password as `vncpasswd` writes it into a file: DES of it, padded with zeros to its eight characters. */
export function obfuscateRfbPassword(password: string): Buffer {
  const block = Buffer.alloc(8)
  block.write(password, 'latin1')
  return des(passwordFileKey, block)
}

function des(key: Buffer, blocks: Buffer): Buffer {
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null)
  cipher.setAutoPadding(false)
  return Buffer.concat([cipher.update(blocks), cipher.final()])
}
