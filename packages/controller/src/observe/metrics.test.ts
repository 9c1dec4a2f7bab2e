import type { PoolStatus } from '@anteroom/contract'
import { expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

const pool = async (): Promise<PoolStatus> => ({
  ...{ size: 'auto', floor: 1, ceiling: 4, wanted: 3, ready: 2, filling: 1, reason: null },
  snapshot: { status: 'ready', id: `snp_${'0'.repeat(24)}` },
})

test('counts sessions, stages, machines and viewers, each with its help', async () => {
  let machines = 0
  const metrics = createMetrics({ machines: () => machines, viewers: async () => 3, pool })
  metrics.sessionEnded('completed')
  metrics.sessionEnded('failed', 'boot_timeout')
  metrics.sessionEnded('failed', 'boot_timeout')
  metrics.stageEnded('boot', 1500)
  metrics.machineProvided('warm')
  metrics.pooledMachineDied()
  metrics.leftoverSwept('slot')
  machines = 2
  const { body: text, contentType } = await metrics.render()
  expect(contentType).toMatch(/^text\/plain/)
  expect(text).toContain('anteroom_sessions_ended_total{outcome="completed",code=""} 1')
  expect(text).toContain('anteroom_sessions_ended_total{outcome="failed",code="boot_timeout"} 2')
  expect(text).toContain('anteroom_stage_duration_seconds_bucket{le="1",stage="boot"} 0')
  expect(text).toContain('anteroom_stage_duration_seconds_bucket{le="2.5",stage="boot"} 1')
  expect(text).toContain('anteroom_machines_live 2')
  expect(text).toContain('anteroom_viewers 3')
  expect(text).toContain('anteroom_machines_provided_total{origin="warm"} 1')
  expect(text).toContain('anteroom_pool_deaths_total 1')
  expect(text).toContain('anteroom_leftovers_swept_total{kind="slot"} 1')
  expect(text).toContain('anteroom_pool_machines{state="ready"} 2')
  expect(text).toContain('anteroom_pool_machines{state="filling"} 1')
  expect(text).toContain('anteroom_pool_wanted 3')
  expect(text).toContain('anteroom_snapshot_ready 1')
  const names = new Set([...text.matchAll(/^(anteroom_\w+?)(_bucket|_sum|_count)?(\{| )/gm)].map(([, name]) => name))
  expect(names.size).toBeGreaterThan(9)
  for (const name of names) expect(text).toMatch(new RegExp(`# HELP ${name} \\w+ .{10}`))
})

test('two in one process do not get in each other’s way', async () => {
  const live = { machines: () => 0, viewers: () => 0, pool }
  createMetrics(live).sessionEnded('completed')
  expect((await createMetrics(live).render()).body).not.toContain('outcome="completed"')
})
