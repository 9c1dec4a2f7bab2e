import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { diagnosis, liveCloseCodes } from '@anteroom/contract'
import { afterAll, expect } from 'vitest'
import { machineNetwork } from '../harness/controller-process.ts'
import { GoldenCopy } from '../harness/golden-copy.ts'
import { instanceOf, tracesOf } from '../harness/traces.ts'
import { beside, checkOf, refusedToStart } from './harness/beside.ts'
import { BreakableHost, inOtherMounts, scope, without } from './harness/breakable-host.ts'
import { endAsAsked, endOf, type FaultTest, faultTable, type Stage } from './harness/stage.ts'
import { Typist } from './harness/typist.ts'

const host = new BreakableHost()
let golden: GoldenCopy
afterAll(async () => {
  await golden?.remove()
  await host.remove()
})

/** How a session ends that comes while it is so. */
const endsWhile =
  (breakIt: () => Promise<() => Promise<void>>, words: RegExp): FaultTest['inject'] =>
  async (stage, made) => {
    const undo = await breakIt()
    made()
    try {
      const { id } = await stage.controller.api.createSession('demo-site', 'ada')
      const code = await endOf(stage, id)
      expect((await stage.controller.api.session(id)).failure?.detail).toMatch(words)
      return code
    } finally {
      await undo()
    }
  }

/** Machines are emulated, and the doctor says why. */
const emulatedBecause =
  (words: RegExp, through: readonly string[]): FaultTest['inject'] =>
  async (_stage, made) => {
    made()
    return await beside('kvm', {}, { images: golden.images, through }, async (controller) => {
      expect(await checkOf(controller, 'acceleration')).toMatchObject({
        verdict: 'warning',
        found: expect.stringMatching(words),
        remedy: expect.stringContaining('Everything works'),
      })
      return null
    })
  }

/** /dev without /dev/kvm. */
const noKvm = inOtherMounts(`dev=$(mktemp -d)
mount -t tmpfs none "$dev"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/net "$dev"
mount --move "$dev" /dev`)
/** As for whoever is not in the group kvm: root without the capability to overlook a mode is nobody better. */
const forbiddenKvm = inOtherMounts(`none=$(mktemp)
chmod 000 "$none"
mount --bind "$none" /dev/kvm`).concat(without('dac_override', 'dac_read_search'))
/** It can be opened, and no guest runs with it. */
const uselessKvm = inOtherMounts('[ -e /dev/kvm ] || touch /dev/kvm\nmount --bind /dev/null /dev/kvm')

async function killWhileTyping({ controller }: Stage, made: () => void) {
  const { id } = await controller.api.createSession('demo-site', 'ada')
  const { browser_vm_id, vm_ip } = await controller.api.until(id, 'live', ({ status }) => status === 'ready')
  const machine = { id: browser_vm_id ?? '', ip: vm_ip ?? '', home: controller.home }
  const [pid] = (await tracesOf({ ...machine, instance: await instanceOf(machine.id) })).processes
  const typist = await Typist.sitDown(controller.api, id)
  process.kill(pid ?? 0, 'SIGKILL')
  made()
  const { failure } = await controller.api.ended(id)
  expect(await typist.closed).toBe(liveCloseCodes.machine_lost)
  const told = diagnosis.parse((await controller.api.call('GET', `/v1/sessions/${id}/diagnosis`)).body)
  expect(told.evidence.map(({ kind }) => kind)).toContain('console')
  return failure?.code ?? null
}

faultTable(
  'host-vmm',
  {
    config: { vmm: { binary: host.monitor, accelerator: 'tcg' }, network: { pool: `${machineNetwork}.0/28` } },
    async prepare() {
      golden = await GoldenCopy.make()
      // Of what does not boot no snapshot can be built.
      golden.holdBuilds(scope)
      return { ...(await host.prepare()), images: golden.images }
    },
  },
  [
    {
      ...{ id: 'H1', fault: 'the monitor is not there at the start', code: 'vmm_missing' },
      async inject(_stage, made) {
        made()
        const vmm = { binary: '/absent/qemu' }
        return await refusedToStart({ vmm }, { images: golden.images }, [/\/absent\/qemu .* is not installed/])
      },
    },
    {
      ...{ id: 'H1', fault: 'the monitor goes away while the controller runs', code: 'vmm_missing' },
      inject: endsWhile(() => host.removeMonitor(), /is not installed/),
    },
    {
      ...{ id: 'H1', fault: 'the monitor may not be executed', code: 'vmm_missing' },
      inject: endsWhile(() => host.forbidMonitor(), /may not be executed/),
    },
    {
      ...{ id: 'H1', fault: 'the monitor is too old', code: 'vmm_missing' },
      inject: endsWhile(() => host.replaceMonitor('echo QEMU emulator version 5.2.0'), /7\.2 or newer/),
    },
    {
      ...{ id: 'H1', fault: 'the monitor is another program', code: 'vmm_missing' },
      inject: endsWhile(() => host.replaceMonitor('echo Firecracker v1.7.0'), /not QEMU's version/),
    },
    {
      ...{ id: 'H2', fault: 'there is no /dev/kvm: machines are emulated, and the doctor says so', code: null },
      inject: emulatedBecause(/this host has no \/dev\/kvm/, noKvm),
    },
    {
      ...{ id: 'H2', fault: '/dev/kvm may not be opened: the same', code: null },
      inject: emulatedBecause(/this user may not open \/dev\/kvm/, forbiddenKvm),
    },
    {
      ...{ id: 'H2', fault: '/dev/kvm opens and runs no guest: the same', code: null },
      inject: emulatedBecause(/KVM/, uselessKvm),
    },
    {
      ...{ id: 'H2', fault: 'KVM is demanded and there is none', code: 'kvm_required' },
      async inject(_stage, made) {
        made()
        const setting = { images: golden.images, through: noKvm }
        return await refusedToStart({ vmm: { accelerator: 'kvm' } }, setting, [/this host has no \/dev\/kvm/])
      },
    },
    {
      ...{ id: 'H3', fault: 'the monitor exits at once', code: 'vmm_exited' },
      inject: endsWhile(
        () => host.replaceMachine('echo no machines today >&2\nexit 3'),
        /ended with status 3: no machines today/,
      ),
    },
    {
      ...{ id: 'H3', fault: 'the monitor dies two seconds after its start', code: 'vmm_exited' },
      inject: endsWhile(
        () => host.replaceMachine('(sleep 2; kill -KILL $$) &\nexec qemu-system-x86_64 "$@"'),
        /console:|SIGKILL/,
      ),
    },
    {
      ...{ id: 'H3', fault: 'the monitor is killed while the person types', code: 'vmm_exited' },
      inject: killWhileTyping,
    },
    {
      ...{ id: 'H4', fault: 'the kernel of the guest panics', code: 'boot_failed' },
      async inject(stage, made) {
        const undo = await golden.publishWithInit('#!/bin/busybox sh\nexit 1\n')
        try {
          const { id } = await stage.controller.api.createSession('demo-site', 'ada')
          made()
          const code = await endOf(stage, id)
          expect((await stage.controller.api.session(id)).failure?.detail).toContain('Kernel panic')
          return code
        } finally {
          await undo()
        }
      },
    },
    {
      ...{
        id: 'H13',
        fault: 'the clock of a restored guest is years behind: it is set before anything is opened',
        code: null,
      },
      async inject({ controller }, made) {
        const { id } = await controller.api.createSession('demo-site', 'ada')
        made()
        const opened = await controller.api.until(id, 'open', ({ stages }) =>
          stages.some(({ name }) => name === 'sign_in'),
        )
        expect(opened.machine_origin).toBe('restored')
        const claimedAt = Date.now()
        const code = await endAsAsked(controller.api, id)
        const log = await readFile(join(controller.home, 'evidence', id, 'agent.log'), 'utf8')
        const line = log.split('\n').findLast((text) => text.includes('"claimed"')) ?? '{}'
        expect(Math.abs(Date.parse(JSON.parse(line).at) - claimedAt)).toBeLessThan(60_000)
        return code
      },
    },
  ],
)
