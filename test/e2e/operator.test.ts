import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Diagnosis, diagnosis, doctorReport, sessionLog } from '@anteroom/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControllerProcess, startControllerProcess } from '../harness/controller-process.ts'
import { instanceOf, tracesOf } from '../harness/traces.ts'

const root = resolve(import.meta.dirname, '../..')
let controller: ControllerProcess
/** One whose machine was killed. */
let killed = ''
beforeAll(async () => {
  controller = await startControllerProcess('operator')
})
afterAll(() => controller?.remove())

interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** What somebody at a terminal gets. */
const anteroom = (...words: string[]): Promise<Said> =>
  promisify(execFile)(process.execPath, ['packages/cli/src/main.ts', ...words, '--home', controller.home], {
    cwd: root,
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )

const explained = async (id: string): Promise<Diagnosis> =>
  diagnosis.parse(JSON.parse((await anteroom('explain', id, '--json')).stdout))

test('the doctor finds this host fit, tries a session, and nothing of that is left', async () => {
  const { code, stdout } = await anteroom('doctor', '--probe')
  expect(stdout).toMatch(
    /^✓ probe +a session with demo-site had its screen after .+ \(restored\), and nothing of it is left$/m,
  )
  expect(stdout).not.toContain('✗')
  expect(code).toBe(0)
  expect(await controller.api.machines()).toEqual([])
})

test('a machine that is killed: the operator is told what, where, by which lines, and what to do', async () => {
  const { id } = await controller.api.createSession('demo-site', 'ada')
  const ready = await controller.api.until(id, 'live', ({ status }) => status === 'ready')
  const machine = { id: ready.browser_vm_id ?? '', ip: ready.vm_ip ?? '', home: controller.home }
  killed = id
  expect((await explained(id)).summary).toMatch(/^It runs: ready/)
  // On a busy host its agent may not answer in the two seconds that it is given.
  const ofAgent = async () => (await explained(id)).evidence.find(({ kind }) => kind === 'agent')
  await expect.poll(ofAgent, { timeout: 120_000 }).toMatchObject({ file: null })

  const [pid] = (await tracesOf({ ...machine, instance: await instanceOf(machine.id) })).processes
  process.kill(pid ?? 0, 'SIGKILL')
  await controller.api.ended(id)
  const { code, stdout } = await anteroom('explain', id)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^ses_\w+ {2}ended · failed · vmm_exited$/m)
  expect(stdout).toMatch(/^It failed in stage (open|sign_in) after .+: Machine stopped unexpectedly \(vmm_exited\)\.$/m)
  expect(stdout).toContain(machine.id)
  expect(stdout).toContain(join(controller.home, 'evidence', id, 'console.log'))
  expect(stdout).toMatch(/What to do\n {2}1\. .{20}/)
  expect((await explained(id)).evidence.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['console', 'host']))
})

/** Where and by whom each line was said. */
async function logged(id: string) {
  const log = sessionLog.parse(JSON.parse((await anteroom('logs', id, '--json')).stdout))
  const said = (source: string): string[] => log.lines.flatMap((line) => (line.source === source ? [line.message] : []))
  return { log, controllers: said('controller'), events: said('event') }
}

test('all that was written about it is gathered, by time', async () => {
  const { log, controllers, events } = await logged(killed)
  expect(log.machine_ids).toHaveLength(1)
  expect(controllers).toEqual(
    expect.arrayContaining(['answered', 'session is starting', 'a session has its machine', 'session is ended']),
  )
  expect(events).toContain('stage')
  expect(log.texts.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['console', 'host', 'timeline']))
  expect(log.lines.find(({ message }) => message === 'answered')?.fields).toMatchObject({
    request: expect.stringMatching(/^req_/),
    status: 201,
  })
  const { stdout } = await anteroom('logs', killed)
  expect(stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} controller {3}session is ready machine=vm_/m)
})

test('wrong words, and a session that nobody knows', async () => {
  expect(await anteroom('explain')).toMatchObject({ code: 2, stderr: expect.stringContaining('Usage:') })
  expect(await anteroom('explode', 'x')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no command explode'),
  })
  const unknown = await anteroom('explain', `ses_${'a'.repeat(24)}`)
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('(not_found)') })
})

test('without a controller the doctor still looks, and says what is missing', async () => {
  await controller.stop()
  const { code, stdout } = await anteroom('doctor', '--json')
  const report = doctorReport.parse(JSON.parse(stdout))
  const verdictOf = (name: string) => report.checks.find((check) => check.name === name)
  expect(verdictOf('image')?.verdict).not.toBe('failed')
  expect(verdictOf('port')).toMatchObject({ verdict: 'ok', found: expect.stringContaining('no controller runs') })
  expect(report.checks.map(({ verdict }) => verdict).includes('failed') ? 1 : 0).toBe(code)
  expect(await anteroom('explain', `ses_${'a'.repeat(24)}`)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('controller_unreachable'),
  })
  const { log, controllers, events } = await logged(killed)
  expect(controllers).toContain('session is ended')
  expect(events).toContain('status')
  expect(log.texts.map(({ kind }) => kind)).toContain('console')
})
