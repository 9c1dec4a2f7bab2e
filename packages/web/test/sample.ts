import {
  type AuditEntry,
  type Connection,
  type Diagnosis,
  type DoctorReport,
  doctorChecks,
  type EgressHost,
  type Image,
  type Machine,
  type PoolStatus,
  type ProviderSummary,
  type Session,
  type StageName,
} from '@anteroom/contract'

const id = (prefix: string, letter: string): string => `${prefix}_${letter.repeat(24)}`
const agoMs = (ms: number): string => new Date(Date.now() - ms).toISOString()

export const sampleProvider: ProviderSummary = {
  name: 'demo',
  title: 'Demo identity',
  kind: 'oauth2',
  opens: 'http://idp.demo.test:4455',
  captures: ['Tokens for: openid, profile, offline_access'],
  demo: true,
}

export const sampleSite: ProviderSummary = {
  name: 'demo-site',
  title: 'Demo workbench',
  kind: 'website',
  opens: 'http://site.demo.test:4456/login',
  captures: ['Cookies of site.demo.test', 'Stored data of http://site.demo.test:4456'],
  demo: true,
}

/** Stages with their durations; one without runs. */
export function stages(...steps: (readonly [StageName, number?])[]): Session['stages'] {
  let startedMs = Date.now() - steps.reduce((sum, [, ms]) => sum + (ms ?? 4000), 0)
  return steps.map(([name, ms]) => {
    const started_at = new Date(startedMs).toISOString()
    startedMs += ms ?? 0
    return { name, started_at, duration_ms: ms ?? null }
  })
}

export const untilOpen = [
  ['queue', 12],
  ['network', 180],
  ['machine', 420],
  ['boot', 14_300],
  ['claim', 90],
  ['screen', 1900],
  ['open', 2600],
] as const

export const sampleSession = (change: Partial<Session> = {}): Session => ({
  id: id('ses', 'a'),
  project_id: id('prj', 'a'),
  provider: sampleProvider.name,
  subject: 'ada@example.com',
  status: 'queued',
  outcome: null,
  queue: null,
  browser_vm_id: null,
  vm_ip: null,
  vnc_url: null,
  image_id: `img_${'0123456789ab'.repeat(2)}`,
  machine_origin: null,
  stages: stages(['queue']),
  failure: null,
  captured: null,
  connection_id: null,
  return_url: null,
  created_at: agoMs(20_000),
  expires_at: agoMs(-580_000),
  may_extend_until: agoMs(-3_580_000),
  first_connect_expires_at: null,
  idle_expires_at: null,
  ended_at: null,
  ...change,
})

const vm = { browser_vm_id: id('vm', 'b'), vm_ip: '10.87.0.6', vnc_url: 'vnc://10.87.0.6:5900' }

export const ready = (change: Partial<Session> = {}): Session =>
  sampleSession({ ...vm, status: 'ready', stages: stages(...untilOpen, ['sign_in']), ...change })

export const completed = (change: Partial<Session> = {}): Session =>
  sampleSession({
    ...vm,
    status: 'ended',
    outcome: 'completed',
    stages: stages(...untilOpen, ['sign_in', 41_200], ['capture', 640], ['store', 30], ['teardown', 810]),
    captured: {
      kind: 'oauth2',
      tokens: ['access_token', 'refresh_token', 'id_token'],
      scopes: ['openid', 'profile', 'offline_access'],
      cookies: 0,
      origins: [],
      local_storage: 0,
      session_storage: 0,
      indexed_db: 0,
    },
    connection_id: id('con', 'c'),
    ended_at: agoMs(1000),
    created_at: agoMs(65_000),
    ...change,
  })

export const failed = (change: Partial<Session> = {}): Session =>
  sampleSession({
    ...vm,
    status: 'ended',
    outcome: 'failed',
    stages: stages(['queue', 12], ['network', 180], ['machine', 420], ['boot', 2100], ['teardown', 300]),
    failure: {
      code: 'vmm_exited',
      stage: 'boot',
      message: 'The sign-in computer stopped unexpectedly. Please start again.',
      hint: 'The last lines of the monitor and the console are in the evidence of the session.',
      detail: 'qemu-system-x86_64 ended with signal SIGKILL 2.1 s after its start.',
    },
    ended_at: agoMs(120_000),
    created_at: agoMs(123_000),
    ...change,
  })

export const sampleConnection: Connection = {
  id: id('con', 'c'),
  project_id: id('prj', 'a'),
  provider: 'demo',
  subject: 'ada@example.com',
  status: 'authenticated',
  version: 2,
  captured: completed().captured,
  last_session_id: id('ses', 'a'),
  created_at: agoMs(9_000_000),
  updated_at: agoMs(400_000),
}

export const sampleMachine: Machine = {
  id: vm.browser_vm_id,
  session_id: id('ses', 'd'),
  image_id: `img_${'0123456789ab'.repeat(2)}`,
  ...{ snapshot_id: `snp_${'0123456789ab'.repeat(2)}`, origin: 'warm' },
  ...{ vm_ip: vm.vm_ip, slot_kind: 'tap', accelerator: 'tcg' },
  created_at: agoMs(350_000),
  ready_at: agoMs(349_000),
}

export const samplePool: PoolStatus = {
  ...{ size: 'auto', floor: 1, ceiling: 4, wanted: 3, ready: 2, filling: 0 },
  reason: { code: null, detail: 'a session is starting' },
  snapshot: { status: 'ready', id: sampleMachine.snapshot_id ?? '' },
}

export const sampleImage: Image = {
  id: sampleMachine.image_id,
  suite: 'trixie',
  kernel_version: '6.12.48',
  built_at: agoMs(90_000_000),
  build_seconds: 131,
  boot_test: { accelerator: 'tcg', hello_ms: 12_400, painted_ms: 16_800 },
  current: true,
  bytes: 1_130_000_000,
  browser_version: '142.0.7444.59',
}

/** Of `failed`. */
export const sampleDiagnosis: Diagnosis = {
  session_id: failed().id,
  ...{ status: 'ended', outcome: 'failed', code: 'vmm_exited' },
  summary: 'It failed in stage boot after 3.0 s: Machine stopped unexpectedly (vmm_exited).',
  detail: failed().failure?.detail ?? null,
  machine: { id: vm.browser_vm_id, vm_ip: vm.vm_ip, image_id: sampleMachine.image_id, origin: 'booted' },
  stages: failed().stages.map((stage) => ({
    ...stage,
    state: stage.name === 'boot' ? 'ended_here' : 'done',
    usual_ms: stage.name === 'boot' ? 9500 : null,
  })),
  evidence: [
    {
      kind: 'console',
      file: `/var/lib/anteroom/evidence/${failed().id}/console.log`,
      lines: [
        '[    1.922041] EXT4-fs (vda): mounted filesystem with ordered data mode',
        '[    2.101376] Out of memory: Killed process 412 (qemu-system-x86) total-vm:4211004kB, anon-rss:1703332kB',
      ],
    },
    { kind: 'host', file: `/var/lib/anteroom/evidence/${failed().id}/host.json`, lines: ['load 6.1 on 2 cores'] },
  ],
  advice: [
    'The last lines of the monitor and the console are in the evidence of the session.',
    'The host had 412 MiB of memory left, a machine takes up to 1843: free some, or lower limits.max_machines.',
  ],
  similar: { hours: 24, ended: 14, same_code: 3, session_ids: [id('ses', 'e'), id('ses', 'f')] },
}

export const sampleDoctor: DoctorReport = {
  at: agoMs(30_000),
  verdict: 'ok',
  checks: doctorChecks.map((name) => ({
    ...{ name, verdict: 'ok', found: 'as it should be', remedy: null, fixed: null, duration_ms: 3 },
  })),
}

const askedFor = (change: Partial<EgressHost>): EgressHost => ({
  ...{ host: 'idp.demo.test', port: 4455, result: 'connected', reason: null, connections: 6 },
  ...{ bytes_up: 9_214, bytes_down: 412_770, first_at: agoMs(60_000), last_at: agoMs(2_000), ...change },
})

export const sampleEgress: EgressHost[] = [
  askedFor({}),
  askedFor({ host: 'static.cdn.example.com', port: 443, connections: 1, bytes_up: 812, bytes_down: 2_600_123 }),
  askedFor({
    ...{ host: 'update.googleapis.com', port: 443, result: 'refused', connections: 14, bytes_up: 0, bytes_down: 0 },
    reason: 'update.googleapis.com is not in egress.allow',
  }),
  askedFor({
    ...{ host: 'login.partner-with-quite-a-long-name.example.com', port: 443, result: 'unreachable', connections: 2 },
    ...{ bytes_up: 0, bytes_down: 0, reason: 'login.partner-with-quite-a-long-name.example.com:443: ETIMEOUT' },
  }),
]

/** Of an audit, newest first. */
export const sampleAudit: AuditEntry[] = [
  {
    action: 'credential.read',
    actor: { kind: 'key', id: id('key', 'b') },
    target: { kind: 'connection', id: id('con', 'c') },
    details: { credential: id('crd', 'a'), version: 2 },
  },
  {
    action: 'session.ended',
    actor: { kind: 'controller', id: null },
    target: { kind: 'session', id: id('ses', 'd') },
    details: { outcome: 'completed', code: null },
  },
  {
    action: 'credential.stored',
    actor: { kind: 'controller', id: null },
    target: { kind: 'connection', id: id('con', 'c') },
    details: { version: 2 },
  },
  {
    action: 'ticket.used',
    actor: { kind: 'nobody', id: null },
    target: { kind: 'session', id: id('ses', 'd') },
    details: { access: 'control', again: false },
  },
  {
    action: 'entry.refused',
    actor: { kind: 'nobody', id: null },
    target: { kind: 'session', id: id('ses', 'd') },
    outcome: 'refused',
    details: { reason: 'used' },
  },
  {
    action: 'entry.used',
    actor: { kind: 'visitor', id: id('ses', 'd') },
    target: { kind: 'session', id: id('ses', 'd') },
    details: {},
  },
  {
    action: 'session.created',
    actor: { kind: 'key', id: id('key', 'b') },
    target: { kind: 'session', id: id('ses', 'd') },
    details: { provider: 'demo', connection: id('con', 'c') },
  },
  {
    action: 'controller.started',
    actor: { kind: 'controller', id: null },
    target: { kind: 'controller', id: null },
    details: {},
  },
].map((entry, index, all) => ({
  ...{ seq: all.length - index, at: agoMs(index * 45_000), outcome: 'done', request_id: null },
  client_address: entry.actor.kind === 'controller' ? null : '192.0.2.7',
  ...{ previous_hash: '0'.repeat(64), hash: '1'.repeat(64) },
  ...(entry as Pick<AuditEntry, 'action' | 'actor' | 'target' | 'details'>),
}))
