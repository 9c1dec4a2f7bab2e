import type { KeyObject } from 'node:crypto'
import { AppError } from '@anteroom/base'
import { maxSealedBytes, type SealedPayload, sealedPayload } from '@anteroom/contract'
import { compactDecrypt, decodeProtectedHeader } from 'jose'

/**
 * Opens and checks what a guest sealed. The guest is not trusted: it may send anything.
 * Causes of decoding errors are left out on purpose: JSON.parse quotes the text that it could not read.
 * @throws AppError capture_invalid, never with a part of the content
 */
export async function openSealedCredential(sealed: string, kid: string, key: KeyObject): Promise<SealedPayload> {
  if (sealed.length > maxSealedBytes) throw invalid(`it is larger than ${maxSealedBytes} bytes`)
  checkHeader(sealed, kid)
  const plaintext = await decrypt(sealed, key)
  try {
    return parse(plaintext)
  } finally {
    plaintext.fill(0)
  }
}

function checkHeader(sealed: string, kid: string): void {
  let header: { readonly kid?: string }
  try {
    header = decodeProtectedHeader(sealed)
  } catch (cause) {
    throw invalid('it is not a compact JWE', cause)
  }
  if (header.kid !== kid) throw invalid("it was sealed to another session's key")
}

async function decrypt(sealed: string, key: KeyObject): Promise<Uint8Array> {
  try {
    const { plaintext } = await compactDecrypt(sealed, key, {
      keyManagementAlgorithms: ['ECDH-ES'],
      contentEncryptionAlgorithms: ['A256GCM'],
      // A few kilobytes may inflate to gigabytes; the guest has no need to compress.
      maxDecompressedLength: 0,
    })
    return plaintext
  } catch (cause) {
    throw invalid("it does not open with this session's key", cause)
  }
}

function parse(plaintext: Uint8Array): SealedPayload {
  let content: unknown
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plaintext))
  } catch {
    throw invalid('its content is not JSON')
  }
  const checked = sealedPayload.safeParse(content)
  if (checked.success) return checked.data
  const places = checked.error.issues.slice(0, 5).map((issue) => issue.path.join('.') || 'the content')
  throw invalid(`its content does not have the agreed form at ${places.join(', ')}`)
}

export const invalid = (why: string, cause?: unknown): AppError =>
  new AppError('capture_invalid', { detail: `The sealed credential is refused: ${why}.`, cause })
