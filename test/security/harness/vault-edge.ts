/**
 * The HTTP edge over a vault, in a process of its own whose memory can be looked at. It is told what a guest sealed, and never what is
 * in it: `{sealed}` on a line of standard input stores it for the session that the first line named; each answer is a line of JSON.
 */
import { createInterface } from 'node:readline'
import { newId } from '@anteroom/base'
import { startEdge } from '../../../packages/controller/src/http/test/running-edge.ts'

const edge = await startEdge()
const say = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`)

const session = await edge.newSession()
const key = await edge.key('credentials:read')
const sealingKey = await edge.vault.sealingKey(session.id)
say({ session: session.id, connection: session.connection_id, url: edge.url, key, sealingKey, canary: newId('event') })

for await (const line of createInterface({ input: process.stdin })) {
  const { sealed, summary } = JSON.parse(line)
  const of = { id: session.id, provider: 'demo', connectionId: session.connection_id ?? '' }
  await edge.vault.store(of, sealed, summary)
  say({ stored: true })
}
await edge.stop()
