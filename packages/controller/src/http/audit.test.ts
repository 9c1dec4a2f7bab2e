import { text } from 'node:stream/consumers'
import { type AuditEntry, auditEntry, auditVerification } from '@anteroom/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { verifyExport } from '../audit/audit.ts'
import { type Edge, problemOf, startEdge } from './test/running-edge.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const page = z.object({ items: z.array(auditEntry), next_cursor: z.string().nullable() })
const list = async (query = ''): Promise<z.infer<typeof page>> =>
  page.parse(await (await edge.call('GET', `/v1/audit${query}`)).json())

test('the audit is listed newest first, a page at a time, each entry once', async () => {
  for (let n = 0; n < 7; n++) await edge.newSession()
  const seen: AuditEntry[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { items, next_cursor } = await list(`?limit=3${cursor && `&cursor=${cursor}`}`)
    seen.push(...items)
    cursor = next_cursor
  }
  expect(seen.map(({ seq }) => seq)).toEqual(Array.from({ length: seen.length }, (_, n) => seen.length - n))
  expect(seen.filter(({ action }) => action === 'session.created')).toHaveLength(7)
})

test('by who, what, to which, since when and until when', async () => {
  const [mine, other] = [await edge.newSession(), await edge.newSession()]
  await edge.call('POST', `/v1/sessions/${mine.id}/cancel`)
  await edge.call('POST', `/v1/sessions/${other.id}/cancel`)
  const [newest] = (await list('?limit=1')).items
  const actor = newest?.actor.id ?? ''
  expect(actor).toMatch(/^key_/)
  const actions = async (query: string) => (await list(query)).items.map(({ action }) => action)
  expect(await actions(`?target=${mine.id}`)).toEqual(['session.cancelled', 'session.created'])
  expect(await actions(`?target=${mine.id}&actor=${actor}`)).toEqual(['session.cancelled'])
  expect(await actions(`?target=${mine.id}&actor=controller`)).toEqual(['session.created'])
  expect(await actions(`?target=${mine.id}&action=session.created`)).toEqual(['session.created'])
  expect(new Set(await actions('?actor=key'))).toEqual(new Set(['session.cancelled']))
  const at = newest?.at ?? ''
  expect((await list(`?since=${at}`)).items.map(({ seq }) => seq)).toContain(newest?.seq)
  expect((await list(`?until=${at}`)).items.map(({ seq }) => seq)).not.toContain(newest?.seq)
  expect((await list('?since=2999-01-01T00:00:00Z')).items).toEqual([])
})

test('a cursor that nobody was given is looked for in no more steps than there are entries', async () => {
  const [newest] = (await list('?limit=1')).items
  expect((await list('?limit=1&cursor=999999999999999')).items).toEqual([newest])
})

test.each(['?action=session.watched', '?cursor=x', '?since=yesterday', '?limit=0', '?who=me'])(
  '%s is refused with the field',
  async (query) => {
    const problem = await problemOf(await edge.call('GET', `/v1/audit${query}`))
    expect(problem).toMatchObject({ code: 'invalid_request', fields: [{ pointer: /\?(\w+)/.exec(query)?.[1] }] })
  },
)

test('what is exported verifies without the controller, and says that it was exported', async () => {
  const answer = await edge.call('GET', '/v1/audit/export')
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  const lines = (await text(answer.body as never)).trimEnd().split('\n')
  const entries = lines.slice(0, -1).map((line) => auditEntry.parse(JSON.parse(line)))
  expect(entries.at(-1)).toMatchObject({ action: 'audit.exported', details: { after_seq: 0 } })
  async function* given() {
    yield* lines
  }
  expect(await verifyExport(given(), undefined)).toMatchObject({
    ...{ verdict: 'whole', entries: entries.length, from_seq: 1, head: { seq: entries.length } },
    ...{ head_is_genuine: null },
  })
})

test('what comes after an entry is exported, and verifies with where it begins', async () => {
  const lines = (await (await edge.call('GET', '/v1/audit/export?after_seq=5')).text()).trimEnd().split('\n')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ seq: 6 })
  async function* given() {
    yield* lines
  }
  expect(await verifyExport(given(), undefined)).toMatchObject({ verdict: 'whole', from_seq: 6 })
})

test('an export of thousands comes whole, in parts', async () => {
  await edge.store.transaction(async (tx) => {
    for (let n = 0; n < 2_000; n++)
      await edge.audit.record(tx, { action: 'host.repaired', target: { kind: 'host', id: null }, details: { n } })
  })
  const answer = await edge.call('GET', '/v1/audit/export')
  let parts = 0
  let bytes = 0
  for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
    parts++
    bytes += part.length
  }
  expect(parts).toBeGreaterThan(10)
  expect(bytes).toBeGreaterThan(2_000 * 300)
})

test('verification names what is wrong, or that nothing is, and where the chain ends', async () => {
  const verify = async (query = '') =>
    auditVerification.parse(await (await edge.call('GET', `/v1/audit/verification${query}`)).json())
  const whole = await verify()
  expect(whole).toMatchObject({ verdict: 'whole', from_seq: 1, head_is_genuine: true, first_wrong: null })
  const { seq = 0, hash = '' } = whole.head ?? {}
  expect(await verify(`?checkpoint=${seq}:${hash}`)).toMatchObject({ verdict: 'whole' })
  expect(await verify(`?after_seq=${seq - 1}`)).toMatchObject({ verdict: 'whole', entries: 1, from_seq: seq })
  expect(await verify(`?checkpoint=${seq - 1}:${hash}`)).toMatchObject({
    first_wrong: { seq: seq - 1, problem: 'rewritten' },
  })
  expect(await verify(`?checkpoint=${seq + 9}:${hash}`)).toMatchObject({
    first_wrong: { seq: seq + 1, problem: 'cut' },
  })
  expect(await problemOf(await edge.call('GET', '/v1/audit/verification?checkpoint=1:x'))).toMatchObject({
    code: 'invalid_request',
  })
})
