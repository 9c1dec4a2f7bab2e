import { AppError, Scope } from '@anteroom/base'
import { type Diagnosis, diagnosis as schema } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SessionWorld } from '../../test/session-world.ts'

let world: SessionWorld
beforeEach(async () => {
  world = await SessionWorld.open()
})
afterEach(() => world.close())

const diagnosisOf = async (id: string): Promise<Diagnosis> =>
  schema.parse(await world.sessions.diagnosis(id, Scope.root('test')))

/** A session whose machine dies while the person signs in. */
async function brokenSession(
  console = 'Out of memory: Killed process 77 (chromium)\n',
  onceReady = () => {},
): Promise<string> {
  const id = await world.create()
  await world.reaches(id, 'ready')
  onceReady()
  world.host.kill((await world.sessions.get(id)).browser_vm_id ?? '', {
    console,
    vmm: 'qemu: terminating on signal 9\n',
  })
  await world.reaches(id, 'ended')
  return id
}

async function completedSession(): Promise<string> {
  const id = await world.create()
  await world.reaches(id, 'ready')
  await (await world.guestOf(id)).personSignsIn()
  await world.reaches(id, 'ended')
  return id
}

test('of a session whose machine was not let out it names the hosts, and where to allow them', async () => {
  const at = new Date(0).toISOString()
  const host = (name: string, result: 'connected' | 'refused', connections: number) => ({
    ...{ host: name, port: 443, result, reason: null, connections },
    ...{ bytes_up: 0, bytes_down: 0, first_at: at, last_at: at },
  })
  const hosts = [host('idp.example.com', 'connected', 9), host('a.test', 'refused', 1), host('b.test', 'refused', 4)]
  Object.assign(world.deps.egress, { hostsOf: async () => hosts })
  const id = await world.create()
  await world.reaches(id, 'ready')
  await (await world.guestOf(id)).signInFails('issuer_unreachable')
  await world.reaches(id, 'ended')
  const { advice, evidence } = await diagnosisOf(id)
  expect(advice).toContainEqual(
    expect.stringMatching(/not let out to b\.test:443 \(4×\), a\.test:443 \(1×\): .*egress\.allow/),
  )
  expect(evidence.find(({ kind }) => kind === 'egress')?.lines).toEqual([
    'refused: a.test:443, once',
    'refused: b.test:443, 4 times',
  ])
  // A machine that was killed was not killed by that.
  expect((await diagnosisOf(await brokenSession())).advice.join()).not.toContain('egress.allow')
})

describe('of a session whose machine died', () => {
  test('it says what, where, what says so, and what to do', async () => {
    const id = await brokenSession()
    const found = await diagnosisOf(id)
    expect(found).toMatchObject({ session_id: id, outcome: 'failed', code: 'vmm_exited' })
    expect(found.summary).toMatch(
      /^It failed in stage (open|sign_in) after .+: Machine stopped unexpectedly \(vmm_exited\)\.$/,
    )
    expect(found.detail).toContain('terminating on signal 9')
    expect(found.machine).toMatchObject({ vm_ip: '127.213.0.1', origin: 'booted' })
    expect(found.stages.filter(({ state }) => state === 'ended_here').map(({ name }) => name)).toEqual([
      (await world.sessions.get(id)).failure?.stage,
    ])
    const lines = Object.fromEntries(found.evidence.map(({ kind, lines }) => [kind, lines]))
    expect(lines.console).toEqual(['Out of memory: Killed process 77 (chromium)'])
    expect(lines.vmm).toEqual(['qemu: terminating on signal 9'])
    expect(lines.host?.[0]).toBe('load 0.5 0.5 0.5 on 2 cores')
    for (const { file } of found.evidence) expect(file).toContain(`/evidence/${id}/`)
    expect(found.advice[0]).toContain('vmm.log')
    expect(found.advice).toHaveLength(1)
    expect(found.similar).toMatchObject({ ended: 1, same_code: 1, session_ids: [] })
  })

  test('a host that had nothing left is named', async () => {
    const id = await brokenSession(undefined, () => {
      world.measurement = { ...world.measurement, load: [9, 9, 9], availableMemoryMiB: 200, freeDiskMiB: 10 }
    })
    const { advice } = await diagnosisOf(id)
    expect(advice.join('\n')).toMatch(/200 MiB of memory left, a machine takes up to 1536/)
    expect(advice.join('\n')).toMatch(/10 MiB of disk left/)
    expect(advice.join('\n')).toMatch(/load 9.0 on 2 cores/)
  })

  test('that others ended the same way is named, and which', async () => {
    const others = [await brokenSession(), await brokenSession()]
    await completedSession()
    const found = await diagnosisOf(await brokenSession())
    expect(found.similar).toMatchObject({ ended: 4, same_code: 3 })
    expect(new Set(found.similar.session_ids)).toEqual(new Set(others))
    expect(found.advice.at(-1)).toMatch(/^3 of 4 sessions of the last 24 hours ended with vmm_exited/)
  })
})

test('a session that runs: how far it is, and what its machine says now', async () => {
  const id = await world.create()
  await world.reaches(id, 'ready')
  const found = await diagnosisOf(id)
  expect(found).toMatchObject({ outcome: null, code: null, advice: [] })
  expect(found.summary).toMatch(/^It runs: ready for .+, .+ after it was asked for\.$/)
  expect(found.evidence.find(({ kind }) => kind === 'console')).toEqual({
    ...{ kind: 'console', file: null, lines: ['fake: started'] },
  })
  expect(found.stages.at(-1)?.state).toBe('running')
})

test('a session that completed: nothing is wrong, and what is usual is known to the next', async () => {
  const found = await diagnosisOf(await completedSession())
  expect(found).toMatchObject({ outcome: 'completed', code: null, advice: [] })
  expect(found.summary).toMatch(/^It completed after .+; the vault has confirmed the credential\.$/)
  const next = await diagnosisOf(await brokenSession())
  expect(next.stages.find(({ name }) => name === 'boot')?.usual_ms).toEqual(expect.any(Number))
})

test('one that waits for a machine says for what, and what to do', async () => {
  world.measurement = { ...world.measurement, freeDiskMiB: 10 }
  const id = await world.create()
  await expect.poll(async () => (await world.sessions.get(id)).queue?.reason).toBe('disk_full')
  const { summary, advice } = await diagnosisOf(id)
  expect(summary).toMatch(/^It waits for a machine, as number 1 in the queue and for .+: Disk is full \(disk_full\)\.$/)
  expect(advice).toEqual([expect.stringContaining('Free space')])
})

test('one that never had a machine has none', async () => {
  world.host.failNext('create', new AppError('vmm_missing'))
  const id = await world.create()
  await world.reaches(id, 'ended')
  const found = await diagnosisOf(id)
  expect(found.machine).toBeNull()
  expect(found.code).toBe('vmm_missing')
})

test('of nobody', async () => {
  await expect(diagnosisOf(`ses_${'a'.repeat(24)}`)).rejects.toMatchObject({ code: 'not_found' })
})
