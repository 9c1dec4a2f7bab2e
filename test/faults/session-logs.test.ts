import { mkdir, readdir, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId, Scope } from '@anteroom/base'
import { diagnosis } from '@anteroom/contract'
import { afterAll, expect } from 'vitest'
import { GoldenCopy } from '../harness/golden-copy.ts'
import { instanceOf, tracesOf } from '../harness/traces.ts'
import { endAsAsked, endOf, type FaultTest, faultTable, type Stage } from './harness/stage.ts'

const MiB = 1024 * 1024
const mostConsoleBytes = 16 * MiB
const mostKeptMiB = 2

let golden: GoldenCopy
afterAll(() => golden?.remove())

const within = <T>(what: string, work: (scope: Scope) => Promise<T>): Promise<T> =>
  Scope.root('faults').run({ name: what, deadlineMs: 120_000 }, work)

/** Its monitor is killed; gives the session, which has failed. */
async function whoseMachineDies(stage: Stage, made: () => void): Promise<string> {
  const { api, home } = stage.controller
  const { id } = await api.createSession('demo-site', 'somebody')
  const { browser_vm_id, vm_ip } = await api.until(id, 'live', ({ status }) => status === 'ready')
  const machine = { id: browser_vm_id ?? '', ip: vm_ip ?? '', home }
  const { processes } = await tracesOf({ ...machine, instance: await instanceOf(machine.id) })
  made()
  for (const pid of processes) process.kill(pid, 'SIGKILL')
  await api.ended(id)
  return id
}

const diagnosisOf = async ({ controller: { api } }: Stage, id: string) =>
  diagnosis.parse((await api.call('GET', `/v1/sessions/${id}/diagnosis`)).body)

const evidenceIn = ({ controller }: Stage): Promise<string[]> => readdir(join(controller.home, 'evidence'))

/** As a session of so many days ago left it. */
async function plantEvidence({ controller }: Stage, daysAgo: number, bytes: number): Promise<string> {
  const id = newId('session')
  const directory = join(controller.home, 'evidence', id)
  await mkdir(directory)
  await writeFile(join(directory, 'console.log'), Buffer.alloc(bytes, 'x'))
  const at = Date.now() / 1000 - daysAgo * 86_400
  await utimes(directory, at, at)
  return id
}

/** A leftover, so that there is something to sweep. */
async function sweep({ controller: { api, home } }: Stage): Promise<void> {
  await mkdir(join(home, 'machines', newId('machine')))
  await api.call('POST', '/v1/doctor', { body: { fix: true } })
}

/** Old evidence goes, and that of whoever failed today stays. */
const tidied = (fault: string, plant: (stage: Stage) => Promise<{ gone: string[]; kept: string[] }>): FaultTest => ({
  ...{ id: 'S12', fault, code: 'vmm_exited' },
  async inject(stage, made) {
    const failed = await whoseMachineDies(stage, made)
    const { gone, kept } = await plant(stage)
    await sweep(stage)
    const left = await evidenceIn(stage)
    for (const id of gone) expect(left).not.toContain(id)
    for (const id of [...kept, failed]) expect(left).toContain(id)
    return await endOf(stage, failed)
  },
})

faultTable(
  'session-logs',
  {
    config: { evidence: { max_age_days: 30, max_total_mib: mostKeptMiB } },
    async prepare() {
      golden = await GoldenCopy.make()
      return { images: golden.images }
    },
  },
  [
    {
      ...{ id: 'S12', fault: 'a machine prints to its console for ever', code: null },
      inject: (stage, made) =>
        within('a machine that prints for ever', async (scope) => {
          golden.holdBuilds(scope)
          const restore = await golden.publishChatterbox()
          scope.defer(restore)
          const { api, home } = stage.controller
          const { id } = await api.createSession('demo-site', 'somebody')
          const { browser_vm_id } = await api.until(id, 'booting', ({ status }) => status === 'vm_created')
          const console = join(home, 'machines', browser_vm_id ?? '', 'console.log')
          const printed = () => stat(console).then(({ size }) => size)
          made()
          await scope.until(async () => (await printed()) > 64 * 1024 || undefined, 50)
          // What it would have come to by itself after some minutes.
          await truncate(console, mostConsoleBytes - 64 * 1024)
          await scope.until(async () => (await printed()) === mostConsoleBytes || undefined, 50)
          const code = await endAsAsked(api, id)
          const kept = await stat(join(home, 'evidence', id, 'console.log'))
          expect(kept.size).toBeLessThanOrEqual(64 * 1024)
          return code
        }),
    },
    {
      ...{ id: 'S12', fault: 'the machine that could tell is gone', code: 'vmm_exited' },
      async inject(stage, made) {
        const id = await whoseMachineDies(stage, made)
        const { browser_vm_id } = await stage.controller.api.session(id)
        expect(await readdir(join(stage.controller.home, 'machines'))).not.toContain(browser_vm_id)
        expect((await diagnosisOf(stage, id)).evidence.length).toBeGreaterThan(0)
        return await endOf(stage, id)
      },
    },
    tidied('the evidence of many sessions takes more than its room', async (stage) => {
      const old = await Promise.all([3, 2, 1].map((daysAgo) => plantEvidence(stage, daysAgo, 1.2 * MiB)))
      return { gone: old.slice(0, 2), kept: old.slice(2) }
    }),
    tidied('evidence is older than its time', async (stage) => ({
      gone: [await plantEvidence(stage, 31, 1024)],
      kept: [await plantEvidence(stage, 29, 1024)],
    })),
  ],
)
