import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '@anteroom/base'
import { findVmms } from '@anteroom/vmm'
import { afterAll, expect } from 'vitest'
import { instanceTag } from '../../packages/controller/src/host/host.ts'
import { machineNetwork, networkByte } from '../harness/controller-process.ts'
import { beside, checkOf, refusedToStart } from './harness/beside.ts'
import { BreakableHost, fillDirectory, inOtherMounts, ip, scope, without } from './harness/breakable-host.ts'
import { isRunning, litter, orphan, untilSwept } from './harness/litter.ts'
import {
  askForSession,
  endAsAsked,
  endOf,
  faultTable,
  livesAndIsCancelled,
  refusal,
  type Stage,
} from './harness/stage.ts'

const host = new BreakableHost()
afterAll(() => host.remove())

/** The bystander has slot 0. */
const tap = { network: { kind: 'tap' } } as const
/** Somebody else's link and namespace. */
const foreign = `fault${process.pid}`

/** A network of this host that has the address of slot 1. */
async function takeAddress(): Promise<() => Promise<void>> {
  await ip('link', 'add', foreign, 'type', 'veth', 'peer', 'name', `${foreign}p`)
  await ip('link', 'set', foreign, 'up')
  await ip('addr', 'add', `${machineNetwork}.6/32`, 'dev', foreign)
  return async () => void (await ip('link', 'delete', foreign))
}

async function crashWhileLeasing(stage: Stage, made: () => void) {
  const { api } = stage.controller
  const subjects = ['ada', 'grace', 'mary']
  const asked = await Promise.all(subjects.map((subject) => api.createSession('demo-site', subject)))
  made()
  const next = await stage.controller.crash()
  stage.replace(next)
  for (const { id } of asked) await next.api.until(id, 'live', ({ status }) => status === 'ready')
  const addresses = (await next.api.machines()).map(({ vm_ip }) => vm_ip)
  expect(addresses.length).toBe(subjects.length + 1)
  expect(new Set(addresses).size).toBe(addresses.length)
  const codes = await Promise.all(asked.map(({ id }) => endAsAsked(next.api, id)))
  return codes.find((code) => code !== null) ?? null
}

faultTable(
  'host-network',
  { config: { network: { pool: `${machineNetwork}.0/28`, ...tap.network } }, prepare: () => host.prepare() },
  [
    {
      ...{
        id: 'H6',
        fault: 'a crash leaves processes, directories, namespaces and links: swept at the start',
        code: null,
      },
      async inject(stage, made) {
        const another = { tag: 'zzzzzz', machine: orphan('zzzzzz') }
        await ip('netns', 'add', `ar-${another.tag}-2`)
        try {
          const next = await stage.controller.crash(() => litter(stage.controller))
          stage.replace(next)
          made()
          await untilSwept(next)
          // What belongs to another controller is none of its business.
          expect(await isRunning(another.tag, another.machine)).toBe(true)
          expect(await readdir('/run/netns')).toContain(`ar-${another.tag}-2`)
          return null
        } finally {
          await ip('netns', 'delete', `ar-${another.tag}-2`)
          for (const { identity } of await findVmms(another.tag)) process.kill(identity.pid, 'SIGKILL')
        }
      },
    },
    {
      ...{ id: 'H6', fault: 'the same comes up while it runs: the doctor names it and sweeps', code: null },
      async inject({ controller }, made) {
        await litter(controller)
        made()
        expect((await checkOf(controller, 'leftovers')).verdict).toBe('warning')
        await controller.api.call('POST', '/v1/doctor', { body: { fix: true } })
        expect((await checkOf(controller, 'leftovers')).verdict).toBe('ok')
        return null
      },
    },
    {
      ...{ id: 'H7', fault: 'namespace and link of the slot are there, half made: taken over', code: null },
      async inject(stage, made) {
        const name = `ar-${instanceTag(stage.controller.home)}-1`
        await ip('netns', 'add', name)
        await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`)
        made()
        return await livesAndIsCancelled(stage)
      },
    },
    {
      ...{ id: 'H7', fault: 'a network of the host has the address of the slot: the next slot is taken', code: null },
      async inject({ controller }, made) {
        const undo = await takeAddress()
        made()
        try {
          const { id } = await controller.api.createSession('demo-site', 'ada')
          const { vm_ip } = await controller.api.until(id, 'live', ({ status }) => status === 'ready')
          expect(vm_ip).toBe(`${machineNetwork}.10`)
          return await endAsAsked(controller.api, id)
        } finally {
          await undo()
        }
      },
    },
    {
      ...{ id: 'H9', fault: 'the disk of the state directory is full', code: 'disk_full' },
      async inject(stage, made) {
        const undo = await host.fillDisk()
        made()
        try {
          return refusal(await askForSession(stage))
        } finally {
          await undo()
        }
      },
    },
    {
      ...{ id: 'H9', fault: 'there is room on the disk again: sessions start as before', code: null },
      async inject(stage, made) {
        const undo = await host.fillDisk()
        try {
          expect(refusal(await askForSession(stage))).toBe('disk_full')
        } finally {
          await undo()
        }
        made()
        return await livesAndIsCancelled(stage)
      },
    },
    {
      ...{ id: 'H9', fault: 'the disk of the log is full: sessions go on, and the doctor says so', code: null },
      async inject(stage, made) {
        const directory = join(stage.controller.home, 'logs')
        // The next controller begins its log there; who wrote into an open file has that one.
        const next = await stage.controller.crash(async () => {
          await runCommand(scope, 'mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'anteroom-faults', directory])
          await fillDirectory(directory)
        })
        stage.replace(next)
        made()
        try {
          expect(await checkOf(next, 'log')).toMatchObject({
            verdict: 'failed',
            found: expect.stringContaining('no space left'),
            remedy: expect.stringContaining('free space'),
          })
          return await livesAndIsCancelled({ ...stage, controller: next })
        } finally {
          await runCommand(scope, 'umount', ['--lazy', directory])
        }
      },
    },
    {
      ...{ id: 'H10', fault: 'nft stops working', code: 'network_setup_failed' },
      async inject(stage, made) {
        const undo = await host.breakNft()
        made()
        try {
          const { id } = await stage.controller.api.createSession('demo-site', 'ada')
          const code = await endOf(stage, id)
          expect((await stage.controller.api.session(id)).failure?.detail).toContain('Operation not supported')
          expect(await checkOf(stage.controller, 'network')).toMatchObject({
            verdict: 'failed',
            found: expect.stringContaining('nft (nftables) does not run'),
            remedy: expect.stringContaining('nftables installed'),
          })
          return code
        } finally {
          await undo()
        }
      },
    },
    {
      ...{ id: 'H10', fault: 'tap slots are demanded and CAP_NET_ADMIN is missing', code: 'network_setup_failed' },
      async inject(_stage, made) {
        made()
        return await refusedToStart(tap, { through: without('net_admin') }, ['not permitted'])
      },
    },
    {
      ...{ id: 'H10', fault: 'tap slots are demanded and ip is missing', code: 'network_setup_failed' },
      async inject(_stage, made) {
        made()
        const through = inOtherMounts('mount --bind /dev/null "$(readlink -f "$(command -v ip)")"')
        return await refusedToStart(tap, { through }, [/^.*\bip .* may not be executed/])
      },
    },
    {
      ...{
        id: 'H10',
        fault: 'CAP_NET_ADMIN is missing: machines share the host’s network stack, and the doctor says so',
        code: null,
      },
      async inject(stage, made) {
        made()
        const config = { network: { kind: 'auto' } } as const
        return await beside('auto', config, { through: without('net_admin') }, async (controller) => {
          expect(await checkOf(controller, 'network')).toMatchObject({
            verdict: 'warning',
            found: expect.stringContaining('no CAP_NET_ADMIN'),
            remedy: expect.stringContaining('Run the controller as root or with CAP_NET_ADMIN'),
          })
          return await livesAndIsCancelled({ ...stage, controller })
        })
      },
    },
    {
      ...{ id: 'H11', fault: 'a network of the host lies in the pool', code: 'network_setup_failed' },
      async inject(_stage, made) {
        await ip('netns', 'add', foreign)
        try {
          await ip('-n', foreign, 'link', 'set', 'lo', 'up')
          await ip('-n', foreign, 'addr', 'add', `10.${networkByte}.1.5/32`, 'dev', 'lo')
          made()
          const through = ['ip', 'netns', 'exec', foreign]
          const [pool, address] = [`10.${networkByte}.1.0/28`, `10.${networkByte}.1.5`]
          return await refusedToStart(tap, { through }, [`${pool} overlaps ${address} on lo`])
        } finally {
          await ip('netns', 'delete', foreign)
        }
      },
    },
    {
      ...{ id: 'H12', fault: 'a crash while addresses are given: each is given once', code: null },
      inject: crashWhileLeasing,
    },
  ],
)
