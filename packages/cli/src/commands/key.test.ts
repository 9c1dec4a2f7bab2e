import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEdge } from '../../../controller/src/http/test/running-edge.ts'
import { key, keyText, seconds } from './key.ts'
import { project } from './project.ts'

const edge = await startEdge()
let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'anteroom-key-'))
  await mkdir(join(home, 'run'))
  await writeFile(join(home, 'run/controller.json'), JSON.stringify({ url: edge.url }))
  await writeFile(join(home, 'operator.key'), `${edge.operatorKey}\n`)
})
afterAll(async () => {
  await rm(home, { recursive: true })
  await edge.stop()
})

const run = async (words: string[], values: Record<string, string> = {}, json = false): Promise<string> =>
  (await key.run(words, { home, json, flags: new Set(), values })).text
const statusBy = async (secret: string): Promise<number> =>
  (await edge.call('GET', '/v1/sessions', undefined, { authorization: `Bearer ${secret}` })).status

test('a key is made, listed, rotated and revoked', async () => {
  const made = await run(['create', 'backend', 'sessions:read', 'credentials:read'], { 'expires-in': '90d' })
  const [id = ''] = /^key_\w+/.exec(made) ?? []
  const [secret = ''] = /^ark_\S+/m.exec(made) ?? []
  expect(made).toMatch(/ {2}backend {2}prj_a{24} {2}sessions:read credentials:read {2}until 2\d{3}-.* {2}never used\n/)
  expect(await statusBy(secret)).toBe(200)
  const listed = await run(['list'])
  expect(listed).toContain(`${id}  backend`)
  expect(listed).toContain('  in operator.key  ')
  expect(listed).not.toContain('ark_')
  const rotated = JSON.parse(await run(['rotate', id], { overlap: '0s' }, true))
  expect(await statusBy(secret)).toBe(401)
  expect(await statusBy(rotated.secret)).toBe(200)
  expect(await run(['rotate', id], { overlap: '1h' })).toMatch(/^The secret before opens until 2\d{3}-/m)
  expect(await run(['revoke', id])).toBe(`${id} opens nothing any more.`)
  expect(await statusBy(rotated.secret)).toBe(401)
  expect(await run(['list'])).toContain('  revoked  ')
})

test('as a program it reads its options with their values, and no others', { timeout: 60_000 }, async () => {
  const program = (...words: string[]) =>
    promisify(execFile)(process.execPath, [join(import.meta.dirname, '../main.ts'), ...words, '--home', home])
  const { stdout } = await program('key', 'create', 'worker', 'sessions:read', '--expires-in', '90d', '--json')
  const { expires_at, created_at } = JSON.parse(stdout)
  expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(90 * 86_400_000)
  await expect(program('key', 'list', '--scope', 'x')).rejects.toMatchObject({ code: 2 })
  await expect(program('key', 'create', 'x', 'sessions:read', '--expires-in')).rejects.toMatchObject({ code: 2 })
})

test('a project is made, and a key of it', async () => {
  const options = { home, flags: new Set<string>() }
  const made = JSON.parse((await project.run(['create', 'a customer'], { ...options, json: true })).text)
  expect((await project.run(['list'], { ...options, json: false })).text).toContain(`${made.id}  a customer  since 2`)
  expect(await run(['create', 'theirs', 'sessions:read'], { project: made.id })).toContain(`  ${made.id}  `)
  for (const words of [[], ['create'], ['create', 'a', 'customer'], ['list', 'all'], ['delete', 'a']])
    await expect(project.run(words, { ...options, json: false })).rejects.toThrow('project create with one name')
})

test('every key is listed, however many pages they fill', async () => {
  const { id } = JSON.parse(await run(['create', 'first', 'operator'], {}, true))
  for (let n = 0; n < 101; n++) await edge.key('sessions:read')
  expect(JSON.parse(await run(['list'], {}, true)).length).toBeGreaterThan(101)
  expect(await run(['list'])).toContain(id)
})

test('what makes no sense is told before anybody is asked', async () => {
  const nowhere = { home: '/nowhere', json: false, flags: new Set<string>() }
  const id = `key_${'a'.repeat(24)}`
  for (const [words, values, told] of [
    [[], {}, 'Say what to do'],
    [['toString'], {}, 'Say what to do'],
    [['list', 'all'], {}, 'takes no names'],
    [['create'], {}, 'takes a name'],
    [['create', 'backend'], {}, 'takes a name'],
    [['create', 'backend', 'root'], {}, 'sessions:read'],
    [['create', 'backend', 'operator'], { 'expires-in': 'soon' }, 'no length of time'],
    [['rotate', 'key_1'], {}, 'Name one key'],
    [['rotate', id], { overlap: '1w' }, 'no length of time'],
    [['revoke', id, id], {}, 'Name one key'],
  ] as const)
    await expect(key.run(words, { ...nowhere, values })).rejects.toThrow(told)
  await expect(key.run(['revoke', id], nowhere)).rejects.toMatchObject({ code: 'controller_unreachable' })
})

test('lengths of time', () => {
  expect(['0s', '30m', '12h', '90d'].map(seconds)).toEqual([0, 1800, 43_200, 7_776_000])
  expect(seconds(undefined)).toBeUndefined()
})

test('a key that does not expire is good for ever', () => {
  const times = { created_at: '', expires_at: null, revoked_at: null, rotated_at: null, previous_expires_at: null }
  const one = {
    id: 'key_a',
    project_id: null,
    name: 'a',
    scopes: ['operator' as const],
    status: 'active' as const,
    in_file: false,
  }
  expect(keyText({ ...one, ...times, last_used_at: '2026-01-01T00:00:00.000Z' })).toBe(
    'key_a  a  every project  operator  for ever  last used 2026-01-01T00:00:00.000Z',
  )
})
