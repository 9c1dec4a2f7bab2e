import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { afterAll, expect } from 'vitest'
import { openDatabase } from '../harness/database.ts'
import { refusedStart } from '../harness/refused-start.ts'
import { openView } from '../harness/view.ts'
import { SmallDisk } from './harness/small-disk.ts'
import {
  askForSession,
  endAll,
  type FaultTest,
  faultTable,
  livesAndIsCancelled,
  refusal,
  type Stage,
} from './harness/stage.ts'

let disk: SmallDisk
afterAll(() => disk?.remove())

const fileOf = ({ controller }: Stage, ending = ''): string => join(controller.home, `anteroom.sqlite${ending}`)

/** Asks until it is refused: what is written first may still fit. */
async function refusedInTheEnd(stage: Stage) {
  const ids: string[] = []
  for (;;) {
    const answer = await askForSession(stage)
    if (answer.status !== 201) return { code: refusal(answer), ids }
    ids.push(String(answer.body.id))
  }
}

/** While nothing can be written everything can be read, the bystander's screen goes on, and afterwards it is as if nothing had been. */
const refusedUntilUndone =
  (breakIt: (stage: Stage) => Promise<() => Promise<void>>): FaultTest['inject'] =>
  (stage, made) =>
    Scope.root('faults').run({ name: 'a store that takes nothing', deadlineMs: 120_000 }, async (scope) => {
      const { controller, bystander } = stage
      const view = await openView(controller.api, bystander.id, scope)
      const waiting = await controller.api.createSession('demo-site', 'somebody who waits')
      await controller.api.until(waiting.id, 'live', ({ status }) => status === 'ready')
      const undo = await breakIt(stage)
      let refused: Awaited<ReturnType<typeof refusedInTheEnd>>
      try {
        made()
        const cut = view.closed.then((code) => Promise.reject(new Error(`the view was closed with ${code}`)))
        refused = await refusedInTheEnd(stage)
        await Promise.race([cut, view.screen.read(scope)])
        expect((await controller.api.session(waiting.id)).status).toBe('ready')
        // Ends when it can be written down, if it cannot now.
        await controller.api.call('POST', `/v1/sessions/${waiting.id}/cancel`, { body: {} })
      } finally {
        await undo()
      }
      const codes = await endAll(controller.api, [waiting.id, ...refused.ids])
      expect(new Set(codes)).toEqual(new Set(['session_cancelled']))
      expect(await livesAndIsCancelled(stage)).toBe(null)
      return refused.code
    })

faultTable(
  'session-store',
  {
    // The others queue: how many are taken before the disk is full is not said.
    config: { limits: { max_machines: 2, max_queued: 1000 } },
    async prepare() {
      disk = await SmallDisk.make()
      return { parent: disk.directory }
    },
  },
  [
    {
      ...{ id: 'S3', fault: 'another process holds the database locked', code: 'store_unavailable' },
      inject: refusedUntilUndone(async ({ controller }) => {
        const other = openDatabase(controller.home)
        other.exec('begin exclusive')
        return async () => other.close()
      }),
    },
    {
      ...{ id: 'S3', fault: 'the database cannot be written', code: 'store_unavailable' },
      inject: refusedUntilUndone((stage) => disk.freeze(fileOf(stage, '-wal'))),
    },
    {
      ...{ id: 'S3', fault: 'the disk of the database is full', code: 'disk_full' },
      inject: refusedUntilUndone(() => disk.fill()),
    },
    {
      ...{ id: 'S3', fault: 'the database file is moved away while it is open', code: null },
      async inject(stage, made) {
        const away = join(stage.controller.home, 'away')
        await rename(fileOf(stage), away)
        made()
        try {
          return await livesAndIsCancelled(stage)
        } finally {
          await rename(away, fileOf(stage))
        }
      },
    },
    {
      ...{ id: 'S3', fault: 'the database is gone when the controller starts', code: 'store_unavailable' },
      async inject(stage, made) {
        const away = join(stage.controller.home, 'away')
        let refused: Awaited<ReturnType<typeof refusedStart>> | undefined
        const next = await stage.controller.crash(async () => {
          for (const ending of ['', '-wal', '-shm']) await rename(fileOf(stage, ending), `${away}${ending}`)
          made()
          refused = await refusedStart(stage.controller.home)
          for (const ending of ['', '-wal', '-shm']) await rename(`${away}${ending}`, fileOf(stage, ending))
        })
        stage.replace(next)
        expect(refused?.said).toContain('anteroom.sqlite')
        return refused?.code ?? null
      },
    },
    {
      ...{ id: 'S3', fault: 'the state directory is read-only when the controller starts', code: 'store_unavailable' },
      async inject(_stage, made) {
        await mkdir(join(disk.directory, 'another'))
        await disk.showReadOnly()
        made()
        const { code, said } = await refusedStart(join(disk.readOnly, 'another'))
        expect(said).toMatch(/another cannot be written: EROFS/)
        return code
      },
    },
    ...(['completed', 'cancelled'] as const).map(
      (first): FaultTest => ({
        ...{ id: 'S4', fault: `an outcome is asked for after the end: ${first}`, code: null },
        async inject({ controller: { api, home } }, made) {
          const { id } = await api.createSession('demo-site', 'ada')
          await api.until(id, 'live', ({ status }) => status === 'ready')
          await api.call('POST', `/v1/sessions/${id}/${first === 'completed' ? 'capture' : 'cancel'}`, { body: {} })
          const ended = await api.ended(id)
          expect(ended.outcome).toBe(first)
          made()
          // By the API it changes nothing, as often as it is asked.
          for (const _ of ['once', 'twice']) {
            const answer = await api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
            expect(answer).toMatchObject({ status: 200, body: ended })
          }
          expect(refusal(await api.call('POST', `/v1/sessions/${id}/capture`, { body: {} }))).toBe('session_over')
          // And whoever writes to the file is refused by the table itself.
          using database = openDatabase(home)
          for (const change of ["outcome = 'failed'", "status = 'ready'", 'failure = null', "ended_at = '0'"])
            expect(() => database.exec(`update sessions set ${change} where id = '${id}'`)).toThrow(/never changes/)
          expect(await api.session(id)).toEqual(ended)
          return null
        },
      }),
    ),
  ],
)
