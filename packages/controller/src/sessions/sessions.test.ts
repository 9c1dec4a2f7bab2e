import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@anteroom/base'
import { stageNames } from '@anteroom/contract'
import { afterEach, describe, expect, test } from 'vitest'
import { readCredential } from '../../test/read-credential.ts'
import { SessionWorld } from '../../test/session-world.ts'

let world: SessionWorld
afterEach(() => world.close())

test('a session goes from request to nothing-left, and its credential is in the vault', async () => {
  world = await SessionWorld.open()
  const created = await world.sessions.create({ provider: 'idp', subject: 'me' }, { principal: 'test' })
  expect(created).toMatchObject({ status: 'queued', browser_vm_id: null, vm_ip: null, vnc_url: null, outcome: null })
  expect(created.hosted_url).toMatch(new RegExp(`^http://127.0.0.1:4400/connect/${created.id}#entry=[\\w-]{43}$`))

  await world.reaches(created.id, 'ready')
  const ready = await world.sessions.get(created.id)
  expect(ready).toMatchObject({
    vm_ip: '127.213.0.1',
    vnc_url: 'vnc://127.213.0.1:5900',
    image_id: 'img_000000000000000000000001',
  })
  expect(await world.sessions.rfbEndpoint(created.id)).toMatchObject({ ip: '127.213.0.1', port: 5900 })

  const guest = await world.guestOf(created.id)
  expect(guest.claimedBy).toBe(ready.browser_vm_id)
  await guest.personSignsIn()
  await world.reaches(created.id, 'ended')
  const ended = await world.sessions.get(created.id)
  expect(ended).toMatchObject({
    outcome: 'completed',
    failure: null,
    captured: { kind: 'oauth2', tokens: ['access_token'] },
  })
  expect(ended.stages.map((stage) => stage.name)).toEqual(stageNames)
  expect(ended.stages.every((stage) => stage.duration_ms !== null)).toBe(true)
  expect(guest.isWiped).toBe(true)
  expect(await world.leftovers()).toEqual([])
  const credential = await readCredential(world.deps.vault, ended.connection_id ?? '')
  expect(credential).toMatchObject({ version: 1, value: { access_token: 'an access token' } })
})

describe('a session that cannot go on', () => {
  test.each([
    [
      'the VMM cannot be started',
      'vmm_exited',
      async () => world.host.failNext('create', new AppError('vmm_exited', { detail: 'no such option' })),
    ],
    ['the VMM is missing', 'vmm_missing', async () => world.host.failNext('create', new AppError('vmm_missing'))],
  ])('ends failed when %s', async (_, code, breakIt) => {
    world = await SessionWorld.open()
    await breakIt()
    const id = await world.create()
    await world.reaches(id, 'ended')
    expect(await world.sessions.get(id)).toMatchObject({
      outcome: 'failed',
      browser_vm_id: null,
      failure: { code, stage: 'machine' },
    })
    expect(await world.leftovers()).toEqual([])
  })

  test('ends failed with the last words of its machine when that dies while the person types', async () => {
    world = await SessionWorld.open()
    const id = await world.create()
    await world.reaches(id, 'ready')
    const { browser_vm_id } = await world.sessions.get(id)
    world.host.kill(browser_vm_id ?? '', { vmm: 'qemu: terminating on signal 9' })
    await world.reaches(id, 'ended')
    const { outcome, failure } = await world.sessions.get(id)
    expect(outcome).toBe('failed')
    expect(failure).toMatchObject({
      code: 'vmm_exited',
      stage: 'sign_in',
      detail: expect.stringContaining('terminating on signal 9'),
    })
    expect(await readFile(join(world.home, 'evidence', id, 'vmm.log'), 'utf8')).toContain('signal 9')
    expect(await world.leftovers()).toEqual([])
  })

  test('tells a kernel panic from a monitor that ended', async () => {
    world = await SessionWorld.open()
    const id = await world.create()
    await world.reaches(id, 'ready')
    const { browser_vm_id } = await world.sessions.get(id)
    const panic = 'Kernel panic - not syncing: Attempted to kill init!'
    const trace = Array.from({ length: 40 }, (_, line) => `[ 1.${line}] RSP: ${line}`).join('\n')
    world.host.kill(browser_vm_id ?? '', { console: `[ 1.0] ${panic}\r\n${trace}\n` })
    await world.reaches(id, 'ended')
    const { failure } = await world.sessions.get(id)
    expect(failure?.code).toBe('boot_failed')
    expect(failure?.detail).toMatch(new RegExp(`^${panic}\nconsole:\n`))
  })

  test.each(['consent_denied', 'issuer_unreachable'] as const)(
    'ends failed with the code of the guest: %s',
    async (code) => {
      world = await SessionWorld.open()
      const id = await world.create()
      await world.reaches(id, 'ready')
      await (await world.guestOf(id)).signInFails(code)
      await world.reaches(id, 'ended')
      expect(await world.sessions.get(id)).toMatchObject({
        outcome: 'failed',
        captured: null,
        failure: { code, detail: 'said the provider' },
      })
      expect(await world.leftovers()).toEqual([])
    },
  )

  test.each(['vault_unavailable', 'disk_full'] as const)(
    'keeps its machine while the vault cannot store (%s), and completes when it can again',
    async (code) => {
      world = await SessionWorld.open()
      const id = await world.create()
      await world.reaches(id, 'ready')
      const { store } = world.deps.vault
      let refusals = 0
      world.deps.vault.store = async () => {
        refusals++
        throw new AppError(code)
      }
      const guest = await world.guestOf(id)
      await guest.personSignsIn()
      await world.reaches(id, 'capturing')
      await expect.poll(() => refusals, { timeout: 5_000 }).toBeGreaterThan(1)
      expect(guest.isWiped).toBe(false)
      world.deps.vault.store = store.bind(world.deps.vault)
      await world.reaches(id, 'ended')
      expect(await world.sessions.get(id)).toMatchObject({ outcome: 'completed', failure: null })
    },
  )

  test('whose machine finds no room on the disk fails at once', async () => {
    world = await SessionWorld.open()
    let attempts = 0
    world.deps.driver.create = async () => {
      attempts++
      throw new AppError('disk_full')
    }
    const id = await world.create()
    await world.reaches(id, 'ended')
    expect(await world.sessions.get(id)).toMatchObject({ outcome: 'failed', failure: { code: 'disk_full' } })
    expect(attempts).toBe(1)
  })
})

test.each(['vmm_exited', 'deadline_exceeded'] as const)(
  'what the vault has confirmed is completed, even when %s came before the row said so',
  async (code) => {
    world = await SessionWorld.open()
    const { vault } = world.deps
    const store = vault.store.bind(vault)
    vault.store = async (...credential) => {
      await store(...credential)
      throw new AppError(code)
    }
    const id = await world.create()
    await world.reaches(id, 'ready')
    await (await world.guestOf(id)).personSignsIn()
    await world.reaches(id, 'ended')
    const ended = await world.sessions.get(id)
    expect(ended).toMatchObject({ outcome: 'completed', failure: null, captured: { tokens: ['access_token'] } })
    expect(await readCredential(vault, ended.connection_id ?? '')).toMatchObject({ version: 1 })
    expect(await world.leftovers()).toEqual([])
  },
)

test('whoever says that they are signed in before the page is there is not failed for it', async () => {
  world = await SessionWorld.open()
  const id = await world.create()
  await world.reaches(id, 'ready')
  const guest = await world.guestOf(id)
  const signedIn = guest.signedIn.bind(guest)
  let tooEarly = 0
  guest.signedIn = async () => {
    if (tooEarly++ > 2) return await signedIn()
    throw new AppError('session_not_ready')
  }
  await world.sessions.requestCapture(id)
  await world.reaches(id, 'ended')
  expect(await world.sessions.get(id)).toMatchObject({ outcome: 'completed', failure: null })
  expect(tooEarly).toBeGreaterThan(3)
})

describe('ending a session', () => {
  test.each(['queued', 'vm_created', 'ready'] as const)(
    'by request while it is %s is once and for all',
    async (status) => {
      world = await SessionWorld.open({ maxMachines: 1 })
      const first = await world.create('first')
      await world.reaches(first, 'ready')
      let id = first
      if (status === 'queued') id = await world.create('second')
      if (status === 'vm_created') {
        await world.sessions.requestEnd(first, 'cancelled')
        world.deps.live.isPainted = async () => false
        id = await world.create('second')
        await world.reaches(id, 'vm_created')
      }
      await Promise.all([world.sessions.requestEnd(id, 'cancelled'), world.sessions.requestEnd(id, 'cancelled')])
      await world.reaches(id, 'ended')
      expect(await world.sessions.get(id)).toMatchObject({
        outcome: 'cancelled',
        failure: { code: 'session_cancelled' },
      })
      expect(await world.sessions.requestEnd(id, 'expired')).toMatchObject({ status: 'ended', outcome: 'cancelled' })
      if (id !== first) await world.sessions.requestEnd(first, 'cancelled')
      await world.reaches(first, 'ended')
      expect(await world.leftovers()).toEqual([])
    },
  )

  test('by its time is expired', async () => {
    world = await SessionWorld.open()
    const id = await world.create()
    await world.reaches(id, 'ready')
    await world.store.db.updateTable('sessions').set({ expires_at: 1 }).where('id', '=', id).execute()
    await world.reaches(id, 'ended')
    expect(await world.sessions.get(id)).toMatchObject({
      outcome: 'expired',
      failure: { code: 'session_expired', stage: 'sign_in' },
    })
    expect(await world.leftovers()).toEqual([])
  })

  test('is tried until nothing is left, and says ended only then', async () => {
    world = await SessionWorld.open()
    const id = await world.create()
    await world.reaches(id, 'ready')
    world.host.failNext('destroy', new AppError('internal', { detail: 'still there' }))
    world.host.failNext('destroy', new AppError('internal', { detail: 'still there' }))
    await world.sessions.requestEnd(id, 'cancelled')
    await world.reaches(id, 'ending')
    expect(await world.leftovers()).not.toEqual([])
    await world.reaches(id, 'ended')
    expect(await world.leftovers()).toEqual([])
  })
})

describe('a controller that starts again', () => {
  test('goes on where a session was: same machine, same claim', async () => {
    world = await SessionWorld.open()
    const id = await world.create()
    await world.reaches(id, 'ready')
    const before = await world.sessions.get(id)
    await world.stopController()
    expect(world.host.machines.size).toBe(1)
    world.startController()
    await (await world.guestOf(id)).personSignsIn()
    await world.reaches(id, 'ended')
    expect(await world.sessions.get(id)).toMatchObject({ outcome: 'completed', browser_vm_id: before.browser_vm_id })
    expect(await world.leftovers()).toEqual([])
  })

  test('ends what is on slots of another kind, which it cannot reach', async () => {
    world = await SessionWorld.open()
    const id = await world.create()
    await world.reaches(id, 'ready')
    await world.stopController()
    await world.store.db.updateTable('machines').set({ slot_kind: 'tap' }).execute()
    world.startController()
    await world.reaches(id, 'ended')
    expect((await world.sessions.get(id)).failure).toMatchObject({
      code: 'machine_lost',
      detail: expect.stringContaining('tap'),
    })
    expect(await world.leftovers()).toEqual([])
  })

  test('sweeps what no session holds, and leaves what one does', async () => {
    world = await SessionWorld.open()
    const id = await world.create()
    await world.reaches(id, 'ready')
    await world.stopController()
    world.host.machines.set('vm_stray', { state: 'running', origin: 'booted', evidence: { console: '', vmm: '' } })
    world.slots.made.add(7)
    world.startController()
    await expect.poll(() => [world.host.machines.has('vm_stray'), world.slots.made.has(7)]).toEqual([false, false])
    expect((await world.sessions.get(id)).status).toBe('ready')
    expect(world.host.machines.size).toBe(1)
    const { body } = await world.deps.metrics.render()
    for (const kind of ['machine', 'slot']) expect(body).toContain(`leftovers_swept_total{kind="${kind}"} 1`)
  })
})

describe('room', () => {
  test('is given in the order of asking', async () => {
    world = await SessionWorld.open({ maxMachines: 1 })
    const ids = [await world.create('a'), await world.create('b'), await world.create('c')]
    for (const [index, id] of ids.entries()) {
      await world.reaches(id, 'ready')
      for (const later of ids.slice(index + 1)) expect((await world.sessions.get(later)).status).toBe('queued')
      await (await world.guestOf(id)).personSignsIn()
      await world.reaches(id, 'ended')
    }
    expect(await world.leftovers()).toEqual([])
  })
})

describe('creating', () => {
  test('again with the same Idempotency-Key gives the same session; with another body it is refused', async () => {
    world = await SessionWorld.open()
    const options = { principal: 'test', idempotencyKey: 'once' }
    const first = await world.sessions.create({ provider: 'idp', subject: 'me' }, options)
    const second = await world.sessions.create({ provider: 'idp', subject: 'me' }, options)
    expect(second.id).toBe(first.id)
    await expect(world.sessions.create({ provider: 'idp', subject: 'you' }, options)).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
    expect(
      (await world.sessions.create({ provider: 'idp', subject: 'you' }, { ...options, principal: 'other' })).id,
    ).not.toBe(first.id)
  })

  test('with a key that is a day old is new, and what is older is forgotten, a few at a time', async () => {
    world = await SessionWorld.open()
    const options = { principal: 'test', idempotencyKey: 'once' }
    const first = await world.sessions.create({ provider: 'idp', subject: 'me' }, options)
    const dayAgo = Date.now() - 24 * 3_600_000 - 1000
    const old = { request_hash: 'hash', session_id: first.id, created_at: dayAgo }
    await world.store.db
      .insertInto('idempotency')
      .values(Array.from({ length: 120 }, (_, n) => ({ principal: 'test', key: `old-${n}`, ...old })))
      .execute()
    const keys = async () =>
      (await world.store.db.selectFrom('idempotency').select('key').orderBy('key').execute()).map(({ key }) => key)
    const again = await world.sessions.create(
      { provider: 'idp', subject: 'me' },
      { ...options, idempotencyKey: 'old-119' },
    )
    expect(again.id).not.toBe(first.id)
    // The table has 120 old and the first key; the second took the place of an old one or of one that was forgotten.
    expect((await keys()).length).toBeLessThan(121)
    expect((await keys()).length).toBeGreaterThan(60)
    for (const n of [1, 2])
      await world.sessions.create({ provider: 'idp', subject: 'me' }, { ...options, idempotencyKey: `new-${n}` })
    expect(await keys()).toEqual(['new-1', 'new-2', 'old-119', 'once'])
    expect((await world.sessions.create({ provider: 'idp', subject: 'me' }, options)).id).toBe(first.id)
  })

  test('for a connection of somebody else is refused with the field', async () => {
    world = await SessionWorld.open()
    const { connection_id } = await world.sessions.get(await world.create('me'))
    await expect(
      world.sessions.create(
        { provider: 'idp', subject: 'you', ...(connection_id !== null && { connection_id }) },
        { principal: 'test' },
      ),
    ).rejects.toMatchObject({ code: 'invalid_request', fields: [{ pointer: '/connection_id' }] })
  })

  test('pages through many, newest first, and refuses a cursor that is none', async () => {
    world = await SessionWorld.open({ maxMachines: 1 })
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.push(await world.create(`subject ${n}`))
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof world.sessions.list>> = await world.sessions.list({
        limit: 2,
        ...(cursor !== null && { cursor }),
      })
      seen.push(...page.items.map((item) => item.id))
      cursor = page.next_cursor
    } while (cursor !== null)
    expect(seen.toSorted()).toEqual(ids.toSorted())
    await expect(world.sessions.list({ limit: 2, cursor: 'nonsense' })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })
})

test('capture is asked for by the person only when the session is ready', async () => {
  world = await SessionWorld.open({ maxMachines: 1 })
  const id = await world.create()
  const waiting = await world.create('second')
  await world.reaches(id, 'ready')
  await expect(world.sessions.requestCapture(waiting)).rejects.toMatchObject({ code: 'session_not_ready' })
  await world.sessions.requestCapture(id)
  await world.reaches(id, 'ended')
  expect((await world.sessions.get(id)).outcome).toBe('completed')
  await expect(world.sessions.requestCapture(id)).rejects.toMatchObject({ code: 'session_over' })
})
