import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askLine, newId, Scope } from '@anteroom/base'
import { type AgentClaim, claimLine } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ClaimDaemon, type MadeClaim } from './claim-daemon.ts'

// The program of the image itself; what it renews in a machine is tested on machines, in test/e2e.
const program = join(import.meta.dirname, '../../../image/recipe/rootfs/opt/anteroom/claimd')
const scope = Scope.root('test')
let directory: string
let passwordFile: string
let daemon: ClaimDaemon
let made: MadeClaim[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-claimd-'))
  passwordFile = join(directory, 'rfb.passwd')
  await writeFile(passwordFile, randomBytes(8))
  made = []
  const config = { program, host: '127.0.0.1', port: 0, passwordFile, renewsMachine: false }
  daemon = await ClaimDaemon.start(config, (claim) => made.push(claim), scope)
})

afterEach(async () => {
  daemon.stop()
  await rm(directory, { recursive: true })
})

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')
const someClaim = (): AgentClaim => ({
  ...{ machine_id: newId('machine'), secret_digest: hex(32), rfb_password: hex(8) },
  ...{ now_ms: Date.now(), entropy: hex(64) },
})
const ask = (line: string): Promise<string> => askLine({ ip: '127.0.0.1', port: daemon.port }, line, scope)

test('a claim is taken once; again the same; never another', async () => {
  const claim = someClaim()
  expect(await ask(claimLine(claim))).toBe('ok')
  expect((await readFile(passwordFile)).toString('hex')).toBe(claim.rfb_password)
  expect(await ask(claimLine({ ...claim, entropy: hex(64) }))).toBe('ok')
  expect(await ask(claimLine({ ...claim, secret_digest: hex(32), rfb_password: hex(8) }))).toBe('refused')
  expect(await ask(claimLine({ ...claim, machine_id: newId('machine') }))).toBe('refused')
  expect((await readFile(passwordFile)).toString('hex')).toBe(claim.rfb_password)
  expect(made).toEqual([{ machineId: claim.machine_id, secretDigest: Buffer.from(claim.secret_digest, 'hex') }])
})

test('at the same time, one of two', async () => {
  expect((await Promise.all([someClaim(), someClaim()].map((claim) => ask(claimLine(claim))))).sort()).toEqual([
    'ok',
    'refused',
  ])
})

test('whoever connects and leaves, or says something else, changes nothing', async () => {
  connect(daemon.port, '127.0.0.1').end('claim')
  expect(await ask('GET / HTTP/1.1\n')).toBe('error this is not a claim')
  expect(await ask(claimLine({ ...someClaim(), rfb_password: 'secret' }))).toBe('error this is not a claim')
  // Longer than any claim, and with no end.
  expect(await ask('x'.repeat(5000))).toBe('error this is not a claim')
  expect(await ask(claimLine(someClaim()))).toBe('ok')
})

test('a program that does not start is an error', async () => {
  const config = { program, host: '127.0.0.1', port: 0, passwordFile: join(directory, 'none'), renewsMachine: false }
  await expect(ClaimDaemon.start(config, () => {}, scope)).rejects.toMatchObject({ code: 'internal' })
})
