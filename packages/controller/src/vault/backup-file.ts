import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, stat, unlink } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { AppError, parseJson, Secret, systemErrorCode } from '@anteroom/base'
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose'
import { z } from 'zod'
import { Envelope } from './envelope.ts'

/** An X25519 key as JWK (RFC 8037): with `d` it opens, without it locks. */
const jwk = z.object({ kty: z.literal('OKP'), crv: z.literal('X25519'), x: z.string(), d: z.string().exactOptional() })

/** What locks and opens a backup. */
export type BackupLock = { readonly passphrase: Secret<string> } | { readonly key: Secret<z.infer<typeof jwk>> }

const shortestPassphrase = 16
/** OWASP's figure of 2023 for PBKDF2 with SHA-256, the least of what jose's strongest, with SHA-512, asks for. */
const passphraseRounds = 600_000

/** Reads a JWK, or a passphrase from the first line of the file. @throws AppError config_invalid */
export async function readLock(path: string): Promise<BackupLock> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw invalid(`${path} cannot be read`, cause)
  })
  const key = jwk.safeParse(parseJson(text))
  const isPublic = key.success && key.data.d === undefined
  if (!isPublic && ((await stat(path)).mode & 0o077) !== 0) throw invalid(`others may read ${path}: chmod 600 ${path}`)
  if (key.success) return { key: new Secret(key.data) }
  const [passphrase = ''] = text.split('\n')
  if (passphrase.length < shortestPassphrase)
    throw invalid(
      `${path} holds no X25519 key, and its first line has less than the ${shortestPassphrase} letters of a passphrase`,
    )
  return { passphrase: new Secret(passphrase) }
}

/**
 * Writes lines to a new file. Its first line is a compact JWE (RFC 7516) of a random key, for the passphrase or the public key; each
 * further line is encrypted with that key (AES-256-GCM) and bound to its number. A failure leaves no file.
 */
export async function writeLocked(path: string, lock: BackupLock, lines: AsyncIterable<string>): Promise<void> {
  const key = randomBytes(32)
  const envelope = new Envelope(new Secret(key))
  const head = await lockKey(key, lock)
  const file = await open(path, 'wx', 0o600).catch((cause: unknown) => {
    throw invalid(systemErrorCode(cause) === 'EEXIST' ? `${path} is there already` : `${path} cannot be made`, cause)
  })
  try {
    await file.write(`${head}\n`)
    let number = 0
    for await (const line of lines) await file.write(`${envelope.wrap(Buffer.from(line), ['backup', ++number])}\n`)
    await file.sync()
    await file.close()
  } catch (error) {
    await file.close().catch(() => {})
    await unlink(path).catch(() => {})
    throw error
  } finally {
    key.fill(0)
  }
}

/** The lines of such a file, as far as they are whole and in their places. Throws an Error that says what is wrong with it. */
export async function* readLocked(path: string, lock: BackupLock): AsyncGenerator<string> {
  const input = createReadStream(path)
  // Whoever reads the lines hears of it; without a listener a file that is missing would end the process.
  const failed = new Promise<never>((_, reject) => input.once('error', () => reject(new Error('it cannot be read'))))
  failed.catch(() => {})
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]()
  const next = (): Promise<IteratorResult<string>> => Promise.race([lines.next(), failed])
  const head = await next()
  const key = await openKey(String(head.value ?? ''), lock).catch((cause: unknown) => {
    throw new Error('it is no backup, or locked otherwise', { cause })
  })
  const envelope = new Envelope(new Secret(Buffer.from(key)))
  for (let number = 1; ; number++) {
    const line = await next()
    if (line.done) return
    let text: string
    try {
      text = envelope.unwrap(line.value, ['backup', number]).toString('utf8')
    } catch (cause) {
      throw new Error(`line ${number + 1} of it was changed or cut`, { cause })
    }
    yield text
  }
}

async function lockKey(key: Uint8Array, lock: BackupLock): Promise<string> {
  const jwe = new CompactEncrypt(key)
  if ('passphrase' in lock)
    return await jwe
      .setProtectedHeader({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM' })
      .setKeyManagementParameters({ p2c: passphraseRounds })
      .encrypt(Buffer.from(lock.passphrase.expose()))
  const { d: _, ...half } = lock.key.expose()
  return await jwe
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM' })
    .encrypt(await importJWK(half, 'ECDH-ES'))
}

async function openKey(head: string, lock: BackupLock): Promise<Uint8Array> {
  const limits = { contentEncryptionAlgorithms: ['A256GCM'], maxPBES2Count: passphraseRounds, maxDecompressedLength: 0 }
  if ('passphrase' in lock) {
    const how = { ...limits, keyManagementAlgorithms: ['PBES2-HS512+A256KW'] }
    return (await compactDecrypt(head, Buffer.from(lock.passphrase.expose()), how)).plaintext
  }
  const how = { ...limits, keyManagementAlgorithms: ['ECDH-ES+A256KW'] }
  return (await compactDecrypt(head, await importJWK(lock.key.expose(), 'ECDH-ES'), how)).plaintext
}

const invalid = (detail: string, cause?: unknown): AppError => new AppError('config_invalid', { detail, cause })
