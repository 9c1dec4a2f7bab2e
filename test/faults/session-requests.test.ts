import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createdSession, type ErrorCode } from '@anteroom/contract'
import { expect } from 'vitest'
import { refusedStart } from '../harness/refused-start.ts'
import { askForSession, endAll, type FaultTest, faultTable, refusal } from './harness/stage.ts'

type Request = {
  readonly method?: string
  readonly path?: string
  readonly body?: unknown
  readonly raw?: string
  /** What the refusal must name. */
  readonly names: string
}

const malformed = (fault: string, code: ErrorCode, { method = 'POST', path = '/v1/sessions', ...rest }: Request) =>
  ({
    ...{ id: 'S9', fault, code },
    async inject({ controller: { api } }, made) {
      const { names, ...sent } = rest
      made()
      const answer = await api.call(method, path, sent)
      const said = JSON.stringify(answer.body)
      expect(said).toContain(names)
      expect(said).not.toMatch(/sqlite|select |insert |constraint| at .*\.ts/i)
      return refusal(answer)
    },
  }) satisfies FaultTest

/** The lines of a configuration, and what the person at the terminal must read. */
const misconfigured = (fault: string, config: string, names: readonly string[]): FaultTest => ({
  ...{ id: 'S10', fault, code: 'config_invalid' },
  async inject(_stage, made) {
    const home = await mkdtemp(join(tmpdir(), 'anteroom-config-'))
    try {
      await writeFile(join(home, 'config.yaml'), config)
      made()
      const { code, said } = await refusedStart(home)
      for (const name of names) expect(said).toContain(name)
      return code
    } finally {
      await rm(home, { recursive: true })
    }
  },
})

const asked = 100
const mayWait = 50
const ada = { provider: 'demo', subject: 'ada' }

const loopDelay = {
  ...{ id: 'S11', fault: 'slow work blocks the event loop', code: null },
  note: 'a figure, not a fault: `npm run bench -- loop-delay` measures it, see `docs/performance.md`',
}

faultTable(
  'session-requests',
  { config: { limits: { max_machines: 2, max_queued: mayWait } }, elsewhere: [loopDelay] },
  [
    {
      ...{
        id: 'S8',
        fault: `${asked} sessions are asked for at once where two machines fit`,
        code: 'capacity_exhausted',
      },
      async inject(stage, made) {
        const { api } = stage.controller
        made()
        const answers = await Promise.all(Array.from({ length: asked }, () => askForSession(stage)))
        const refused = answers.filter(({ status }) => status !== 201)
        const codes = new Set(refused.map(refusal))
        for (const { headers } of refused) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
        const inOrder = answers
          .filter(({ status }) => status === 201)
          .map(({ body }) => createdSession.parse(body))
          .toSorted((a, b) => a.created_at.localeCompare(b.created_at) || a.id.localeCompare(b.id))
          .map(({ id }) => id)
        expect(inOrder.length).toBeGreaterThanOrEqual(mayWait)
        // Whoever came first is served first, one at a time; the others wait and are not forgotten.
        for (const [served, id] of inOrder.slice(0, 3).entries()) {
          await api.until(id, 'served', ({ status }) => status !== 'queued')
          for (const later of inOrder.slice(served + 1)) expect((await api.session(later)).status).toBe('queued')
          await endAll(api, [id])
        }
        await endAll(api, inOrder.slice(3).toReversed())
        expect([...codes]).toHaveLength(1)
        return [...codes][0] ?? null
      },
    },
    malformed('an id that is none', 'invalid_request', {
      ...{ method: 'GET', path: `/v1/sessions/${encodeURIComponent("' or 1=1 --")}`, names: '"id"' },
    }),
    malformed('an id of nobody', 'not_found', {
      method: 'GET',
      path: `/v1/sessions/ses_${'a'.repeat(24)}`,
      names: 'not_found',
    }),
    malformed('a provider of nobody', 'provider_unknown', { body: { ...ada, provider: 'nobody' }, names: '/provider' }),
    malformed('an unknown field', 'invalid_request', { body: { ...ada, subjct: 'ada' }, names: '/subjct' }),
    malformed('a field of the wrong type', 'invalid_request', {
      body: { ...ada, subject: ['ada'] },
      names: '/subject',
    }),
    malformed('a body that is cut off', 'invalid_request', { raw: '{"provider":"demo",', names: 'invalid_request' }),
    malformed('a body of three megabytes', 'body_too_large', {
      ...{ raw: JSON.stringify({ ...ada, subject: 'a'.repeat(3_000_000) }), names: 'bytes' },
    }),
    misconfigured('a key that is no setting', 'limits: { max_machine: 2 }', [
      'limits.max_machine ',
      'limits.max_machines?',
    ]),
    misconfigured('a section that is no setting', 'timeout: {}', ['timeout ', 'timeouts?']),
    misconfigured('a number with a unit', 'timeouts: { idle_seconds: 5m }', ['timeouts.idle_seconds']),
    misconfigured('a key with another unit', 'timeouts: { idle_minutes: 5 }', [
      'idle_minutes',
      'timeouts.idle_seconds?',
    ]),
    misconfigured('a pool whose floor is above its ceiling', 'pool: { floor: 3, ceiling: 2 }', [
      'pool.floor',
      'pool.ceiling',
    ]),
    misconfigured('a limit above its own maximum', 'timeouts: { session_seconds: 900, max_session_seconds: 600 }', [
      'timeouts.session_seconds',
      'timeouts.max_session_seconds',
    ]),
  ],
)
