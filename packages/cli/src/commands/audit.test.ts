import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { silentLog, systemClock } from '@anteroom/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startEdge } from '../../../controller/src/http/test/running-edge.ts'
import { openVaultAndAudit } from '../../../controller/src/open-vault-and-audit.ts'
import { openStoreIn } from '../../../controller/src/store/store.ts'
import { audit } from './audit.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'anteroom-cli-audit-'))
})
afterEach(() => rm(home, { recursive: true }))

const run = (words: string[], values: Record<string, string> = {}, json = false) =>
  audit.run(words, { home, json, flags: new Set(), values })

describe('with a controller', () => {
  let edge: Awaited<ReturnType<typeof startEdge>>
  beforeEach(async () => {
    edge = await startEdge()
    await mkdir(join(home, 'run'))
    await writeFile(join(home, 'run/controller.json'), JSON.stringify({ url: edge.url }))
    await writeFile(join(home, 'operator.key'), `${edge.operatorKey}\n`)
  })
  afterEach(() => edge.stop())

  test('lists, one line an entry, by filters', async () => {
    const { id } = await edge.newSession()
    await edge.call('POST', `/v1/sessions/${id}/cancel`)
    const { text, exitCode } = await run(['list'], { target: id })
    expect(exitCode).toBe(0)
    const lines = text.split('\n')
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(
      new RegExp(`^ +\\d+ {2}20\\d\\d-.* {2}session\\.cancelled +key_\\w{24} {2}${id} {2}127\\.0\\.0\\.1 {2}outcome=`),
    )
    expect(JSON.parse((await run(['list'], { action: 'session.cancelled', limit: '1' }, true)).text)).toHaveLength(1)
  })

  test('exports to a new file that only its owner reads, and verifies it and the controller', async () => {
    await edge.newSession()
    const file = join(home, 'audit.jsonl')
    expect((await run(['export', file])).exitCode).toBe(0)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await run(['verify', file])).toMatchObject({
      exitCode: 0,
      text: expect.stringContaining('The audit is whole'),
    })
    expect(await run(['verify'])).toMatchObject({ exitCode: 0, text: expect.stringContaining('from entry 1 on') })
    await expect(run(['export', file])).rejects.toThrow('is there already')
    const lines = (await readFile(file, 'utf8')).split('\n')
    await writeFile(file, lines.with(0, (lines[0] ?? '').replace('"done"', '"refused"')).join('\n'))
    const damaged = await run(['verify', file])
    expect(damaged.exitCode).toBe(1)
    expect(damaged.text).toContain('The first wrong entry is 1; 0 before it are as they were written')
  })
})

describe('without a controller', () => {
  beforeEach(async () => {
    const store = await openStoreIn(home)
    const parts = await openVaultAndAudit({ home }, { store, clock: systemClock, log: silentLog })
    for (let n = 0; n < 5; n++)
      await parts.audit.recordAlone({ action: 'host.repaired', target: { kind: 'host', id: null }, details: { n } })
    await store.close()
  })

  test('verifies and exports what the files say, and looks whether the end is genuine', async () => {
    const verified = JSON.parse((await run(['verify'], {}, true)).text)
    expect(verified).toMatchObject({ verdict: 'whole', entries: 5, head_is_genuine: true })
    const file = join(home, 'audit.jsonl')
    await run(['export', file], { 'after-seq': '2' })
    expect((await run(['verify', file])).text).toContain('3 entries, from entry 3 on')
    await rm(join(home, 'vault.key'))
    expect((await run(['verify'])).text).toContain('Without the key of the vault')
  })

  test('names the first wrong entry', async () => {
    const database = new DatabaseSync(join(home, 'anteroom.sqlite'))
    database.exec('drop trigger audit_stays; delete from audit where seq = 4')
    database.close()
    const { text, exitCode } = await run(['verify'])
    expect(exitCode).toBe(1)
    expect(text).toContain('entry 4 is missing (missing)')
    expect(text).toContain('The first wrong entry is 4; 3 before it')
  })

  test('a checkpoint that was kept tells of what came after it', async () => {
    const { head } = JSON.parse((await run(['verify'], {}, true)).text)
    expect((await run(['verify'], { checkpoint: `${head.seq}:${head.hash}` })).exitCode).toBe(0)
    expect((await run(['verify'], { checkpoint: `9:${head.hash}` })).text).toContain('entries 6 to 9 are missing')
  })
})

test.each([
  [[], {}, 'Say what to do'],
  [['read'], {}, 'Say what to do'],
  [['list', 'all'], {}, 'takes no names'],
  [['list'], { action: 'session.watched' }, 'no action'],
  [['list'], { limit: 'many' }, 'takes a number'],
  [['export'], {}, 'Name one file'],
  [['verify', 'a', 'b'], {}, 'one file, or none'],
  [['verify'], { checkpoint: '9' }, 'A checkpoint is'],
] as const)('%j %j: %s', async (words, values, told) => {
  await expect(run([...words], values)).rejects.toThrow(told)
})
