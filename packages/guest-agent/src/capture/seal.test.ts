import { newId } from '@anteroom/base'
import { maxSealedBytes, type SealedPayload, type SealingKey } from '@anteroom/contract'
import { compactDecrypt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose'
import { expect, test } from 'vitest'
import { seal } from './seal.ts'

const payload = (accessToken: string): SealedPayload => ({
  session_id: newId('session'),
  provider: 'demo',
  captured_at: new Date(0).toISOString(),
  value: {
    kind: 'oauth2',
    issuer: null,
    client_id: 'c',
    access_token: accessToken,
    token_type: 'bearer',
    refresh_token: null,
    id_token: null,
    scope: null,
    expires_at: null,
  },
})

async function newKeys() {
  const keys = await generateKeyPair('ECDH-ES', { crv: 'X25519', extractable: true })
  const { x = '' } = await exportJWK(keys.publicKey)
  const sealingKey: SealingKey = { kty: 'OKP', crv: 'X25519', x, kid: 'k1' }
  return { keys, sealingKey }
}

test('only the private key opens what was sealed', async () => {
  const { keys, sealingKey } = await newKeys()
  const message = payload('top secret')
  const sealed = await seal(message, sealingKey)
  expect(decodeProtectedHeader(sealed)).toMatchObject({ alg: 'ECDH-ES', enc: 'A256GCM', kid: 'k1' })
  expect(sealed).not.toContain('top secret')
  const { plaintext } = await compactDecrypt(sealed, keys.privateKey)
  expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual(message)
  const other = await newKeys()
  await expect(compactDecrypt(sealed, other.keys.privateKey)).rejects.toThrow()
})

test('more than may be handed over is refused', async () => {
  const { sealingKey } = await newKeys()
  await expect(seal(payload('x'.repeat(maxSealedBytes)), sealingKey)).rejects.toMatchObject({ code: 'capture_invalid' })
})
