import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { problem } from '@anteroom/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Api } from '../harness/api.ts'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'

let controller: ControllerProcess
let api: Api
beforeAll(async () => {
  controller = await startControllerProcess('bad-input')
  api = controller.api
})
afterAll(() => controller?.remove())

const unknownSession = `ses_${'a'.repeat(24)}`
const good = { provider: 'demo', subject: 'ada' }

interface Case {
  readonly name: string
  readonly method?: string
  readonly path?: string
  readonly body?: unknown
  readonly raw?: string
  readonly key?: string | null
  readonly status: number
  readonly code: string
  /** The field that must be named. */
  readonly pointer?: string
}

const cases: readonly Case[] = [
  { name: 'an unknown provider', body: { ...good, provider: 'nobody' }, status: 422, code: 'provider_unknown' },
  { name: 'no subject', body: { provider: 'demo' }, status: 400, code: 'invalid_request', pointer: '/subject' },
  {
    name: 'a subject of the wrong type',
    body: { ...good, subject: 7 },
    status: 400,
    code: 'invalid_request',
    pointer: '/subject',
  },
  {
    name: 'an unknown field',
    body: { ...good, subjct: 'ada' },
    status: 400,
    code: 'invalid_request',
    pointer: '/subjct',
  },
  {
    name: 'a time limit of a day',
    body: { ...good, timeout_seconds: 86_400 },
    status: 400,
    code: 'invalid_request',
    pointer: '/timeout_seconds',
  },
  {
    name: 'a return address that is a script',
    body: { ...good, return_url: 'javascript:alert(1)' },
    status: 400,
    code: 'invalid_request',
    pointer: '/return_url',
  },
  { name: 'a body that is no JSON', raw: '{"provider":', status: 400, code: 'invalid_request' },
  { name: 'a huge body', raw: JSON.stringify({ subject: 'a'.repeat(3_000_000) }), status: 413, code: 'body_too_large' },
  { name: 'no key', body: good, key: null, status: 401, code: 'unauthenticated' },
  { name: 'a wrong key', body: good, key: `key_${'a'.repeat(43)}`, status: 401, code: 'unauthenticated' },
  { name: 'an id that is none', method: 'GET', path: '/v1/sessions/1%27--', status: 400, code: 'invalid_request' },
  { name: 'an id of nobody', method: 'GET', path: `/v1/sessions/${unknownSession}`, status: 404, code: 'not_found' },
  {
    name: 'a credential of nobody',
    method: 'GET',
    path: `/v1/connections/con_${'a'.repeat(24)}/credential`,
    status: 404,
    code: 'not_found',
  },
  { name: 'an address of nothing', method: 'GET', path: '/v1/nothing', status: 404, code: 'not_found' },
]

describe('a problem with a closed code, never a 500', () => {
  test.each(cases)('$name', async ({ method = 'POST', path = '/v1/sessions', status, code, pointer, ...request }) => {
    const answer = await api.call(method, path, request)
    const shown = problem.parse(answer.body)
    expect({ status: answer.status, code: shown.code }).toEqual({ status, code })
    expect(answer.type).toContain('application/problem+json')
    if (pointer !== undefined) expect(shown.fields?.map((field) => field.pointer)).toContain(pointer)
  })

  test('a malformed definition: the file, the line and the field, as soon as the file is there', async () => {
    const directory = join(controller.home, 'providers')
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, 'broken.yaml'), 'name: broken\ntitle: Broken\nkind: website\nstart_url: nowhere\n')
    const shown = await Scope.root('e2e').run({ name: 'the definition is read', deadlineMs: 30_000 }, (scope) =>
      scope.until(async () => {
        const answer = await api.call('POST', '/v1/sessions', { body: { ...good, provider: 'broken' } })
        const told = problem.parse(answer.body)
        return told.code === 'provider_unknown' ? undefined : told
      }, 100),
    )
    expect(shown).toMatchObject({ status: 422, code: 'provider_invalid' })
    expect(shown.detail).toMatch(/^broken\.yaml:\d+: \w+ /)
  })

  test('a wrong entry secret, and a ticket for a session that has no screen', async () => {
    const { id } = await api.createSession('demo', 'ada')
    const entry = await api.call('POST', `/v1/sessions/${id}/entry`, { body: { secret: 'wrong' }, key: null })
    expect(problem.parse(entry.body).code).toBe('entry_invalid')
    const page = await api.call('GET', `/v1/sessions/${id}/page`, { key: null })
    expect(page.status).toBe(401)
    expect((await api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })).status).toBeLessThan(300)
    expect((await api.ended(id)).outcome).toBe('cancelled')
  })
})
