import { AppError } from '@anteroom/base'
import { maxSealedBytes, type SealedPayload, type SealingKey } from '@anteroom/contract'
import { CompactEncrypt, importJWK } from 'jose'

/** Compact JWE (RFC 7516), ECDH-ES on X25519 with A256GCM: only the holder of the private key can open it. */
export async function seal(payload: SealedPayload, key: SealingKey): Promise<string> {
  const plaintext = new TextEncoder().encode(JSON.stringify(payload))
  // Base64url makes four characters of three bytes; checked before the work of encrypting it.
  if (plaintext.byteLength > (maxSealedBytes / 4) * 3) throw tooLarge(plaintext.byteLength)
  const sealed = await new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid })
    .encrypt(await importJWK(key, 'ECDH-ES'))
  if (sealed.length > maxSealedBytes) throw tooLarge(plaintext.byteLength)
  return sealed
}

const tooLarge = (bytes: number): AppError =>
  new AppError('capture_invalid', {
    detail: `${bytes} bytes were captured; at most ${maxSealedBytes} can be handed over sealed`,
  })
