/**
 * `node key-command.ts FILE`: a key service as small as one can be, for tests of the command provider. It keeps its root key in
 * FILE, which nobody but it reads.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'

const root = Buffer.from(readFileSync(process.argv[2] ?? '', 'utf8').trim(), 'hex')
const asked = JSON.parse(await text(process.stdin))
if (asked.protocol !== 1) throw new Error(`protocol ${asked.protocol}`)
process.stdout.write(JSON.stringify(asked.operation === 'wrap' ? wrap() : unwrap()))

function wrap() {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', root, iv).setAAD(Buffer.from(asked.key_id))
  const sealed = Buffer.concat([cipher.update(asked.plaintext, 'base64'), cipher.final()])
  return { wrapped: Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64'), root_id: 'a service' }
}

function unwrap() {
  const bytes = Buffer.from(asked.wrapped, 'base64')
  const decipher = createDecipheriv('aes-256-gcm', root, bytes.subarray(0, 12)).setAAD(Buffer.from(asked.key_id))
  decipher.setAuthTag(bytes.subarray(-16))
  return { plaintext: Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('base64') }
}
