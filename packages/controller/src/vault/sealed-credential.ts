import type { KeyObject } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { AppError, Secret } from '@anteroom/base'
import { maxSealedBytes, sealedPayload } from '@anteroom/contract'
import { compactDecrypt, decodeProtectedHeader } from 'jose'
import { type MaskedJson, maskJson } from './masked-json.ts'

/** A SealedPayload of the contract as the bytes that were sealed. Whoever has it wipes it. */
export interface OpenedPayload extends Disposable {
  readonly bytes: Secret<Buffer>
  /** Where in the bytes the credential's value is. */
  readonly value: MaskedJson['value']
  readonly sessionId: string
  readonly provider: string
  /** RFC 3339. */
  readonly capturedAt: string
  readonly kind: string
}

/**
 * Opens and checks what a guest sealed. The guest is not trusted: it may send anything.
 * Causes of decoding errors are left out on purpose: they may quote the text that could not be read.
 * @throws AppError capture_invalid, never with a part of the content
 */
export async function openSealedCredential(sealed: string, kid: string, key: KeyObject): Promise<OpenedPayload> {
  if (sealed.length > maxSealedBytes) throw invalid(`it is larger than ${maxSealedBytes} bytes`)
  checkHeader(sealed, kid)
  const plaintext = await decrypt(sealed, key)
  try {
    return readPayload(Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength))
  } catch (error) {
    plaintext.fill(0)
    throw invalid(error instanceof Error ? error.message : 'it cannot be read')
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

/** Takes the bytes over. Throws an Error that says what is wrong, never with a part of the content. */
export function readPayload(bytes: Buffer): OpenedPayload {
  const { content, value } = maskJson(bytes)
  const checked = sealedPayload.safeParse(content)
  if (!checked.success) {
    const places = checked.error.issues.slice(0, 5).map((issue) => issue.path.join('.') || 'the content')
    throw new Error(`its content does not have the agreed form at ${places.join(', ')}`)
  }
  // The bytes are handed on as they are: what the contract does not know must not be among them.
  if (!isDeepStrictEqual(checked.data, content)) throw new Error('its content has members that nobody agreed on')
  const { session_id, provider, captured_at } = checked.data
  return {
    bytes: new Secret(bytes),
    value,
    sessionId: session_id,
    provider,
    capturedAt: captured_at,
    kind: checked.data.value.kind,
    [Symbol.dispose]: () => void bytes.fill(0),
  }
}

export const invalid = (why: string, cause?: unknown): AppError =>
  new AppError('capture_invalid', { detail: `The sealed credential is refused: ${why}.`, cause })
