import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, webcrypto } from 'node:crypto'
import type { Secret } from '@anteroom/base'

/** What a ciphertext belongs to; it opens nowhere else. */
export type Binding = readonly (string | number)[]

export interface Sealed {
  readonly ciphertext: string
  /** The data key of this entry, wrapped. Whoever destroys it has destroyed the entry. */
  readonly wrappedKey: string
}

const ivBytes = 12
const tagBytes = 16

/** Envelope encryption: a random data key for each entry, wrapped under one wrapping key. */
export class Envelope {
  readonly #wrappingKey: Secret<Buffer>

  constructor(wrappingKey: Secret<Buffer>) {
    this.#wrappingKey = wrappingKey
  }

  seal(plaintext: Buffer, binding: Binding): Sealed {
    const dataKey = randomBytes(32)
    try {
      return { ciphertext: encrypt(dataKey, plaintext, binding), wrappedKey: this.wrap(dataKey, binding) }
    } finally {
      dataKey.fill(0)
    }
  }

  /** Throws when anything differs from what was sealed: ciphertext, wrapped key or binding. */
  async open(sealed: Sealed, binding: Binding): Promise<Buffer> {
    const dataKey = this.unwrap(sealed.wrappedKey, binding)
    try {
      return await decryptWithoutCopies(dataKey, sealed.ciphertext, binding)
    } finally {
      dataKey.fill(0)
    }
  }

  /** The same entry under another wrapping key: its data key alone is opened, and wrapped anew. */
  rewrap(wrapped: string, from: Envelope, binding: Binding): string {
    const dataKey = from.unwrap(wrapped, binding)
    try {
      return this.wrap(dataKey, binding)
    } finally {
      dataKey.fill(0)
    }
  }

  wrap(key: Buffer, binding: Binding): string {
    return encrypt(this.#wrappingKey.expose(), key, ['wrapped', ...binding])
  }

  unwrap(wrapped: string, binding: Binding): Buffer {
    return decrypt(this.#wrappingKey.expose(), wrapped, ['wrapped', ...binding])
  }
}

/** HKDF (RFC 5869): different labels give keys that tell nothing of each other or of the root. */
export const deriveFrom = (root: Secret<Buffer>, label: string): Buffer =>
  Buffer.from(hkdfSync('sha256', root.expose(), '', `anteroom vault ${label}`, 32))

/** JSON of an array keeps the parts apart: no two bindings have the same bytes. */
const additionalData = (binding: Binding): Buffer => Buffer.from(JSON.stringify(binding))

/**
 * AES-256-GCM: iv, ciphertext, tag as base64url. Random 96-bit ivs are safe for 2^32 messages under one key
 * (NIST SP 800-38D, section 8.3); a data key encrypts one, the wrapping key two for each session.
 */
function encrypt(key: Buffer, plaintext: Buffer, binding: Binding): string {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(additionalData(binding))
  return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/**
 * As below, by WebCrypto: `decipher.update` of node:crypto copies what it has decrypted into a buffer of the right size, and frees the
 * first one as it is (seen with Node 24.21: refresh and id token in the heap, after the only buffer that it gave was overwritten).
 */
async function decryptWithoutCopies(key: Buffer, text: string, binding: Binding): Promise<Buffer> {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length < ivBytes + tagBytes) throw new Error('ciphertext is truncated')
  const imported = await webcrypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt'])
  const how = { name: 'AES-GCM', iv: bytes.subarray(0, ivBytes), additionalData: additionalData(binding) }
  return Buffer.from(await webcrypto.subtle.decrypt(how, imported, bytes.subarray(ivBytes)))
}

function decrypt(key: Buffer, text: string, binding: Binding): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length < ivBytes + tagBytes) throw new Error('ciphertext is truncated')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes))
  decipher.setAAD(additionalData(binding)).setAuthTag(bytes.subarray(-tagBytes))
  const opened = decipher.update(bytes.subarray(ivBytes, -tagBytes))
  try {
    return Buffer.concat([opened, decipher.final()])
  } finally {
    opened.fill(0)
  }
}
