import { isSince, type QemuVersion } from './qemu-version.ts'
import type { VmmNetwork, VmmOrigin, VmmSpec } from './spec.ts'
import { niceness } from './yield-to-others.ts'

/** Files in a machine's directory; relative, because a unix socket's address holds 107 bytes only (unix(7)). */
export const fileNames = {
  qmp: 'qmp.sock',
  console: 'console.log',
  log: 'vmm.log',
  identity: 'vmm.json',
  outgoing: 'outgoing.sock',
} as const

/** On it a monitor finds the state that it loads; by then it may open no file any more. */
export const stateDescriptor = 3

/** Names that the monitor's commands use. */
export const deviceNames = { networkBackend: 'net', networkCard: 'nic' } as const

/** The same in each machine, so that nothing in the guest depends on which machine it is. */
const guest = { mac: '52:54:00:a1:7e:00', ip: '172.16.0.2', network: '172.16.0.0/30', host: '172.16.0.1' } as const

/** 16 MiB: a whole boot prints 60 KiB. What a guest prints beyond that is lost, not the host's disk. */
const largestFileBytes = 16 * 1024 * 1024

/**
 * Threads of one user: processors, one for each file that is read at the moment (up to 64), a few more. The kernel counts them for the user
 * that a monitor has changed to, which no other process has; `spawn=deny` leaves no way to a process.
 */
export const mostThreads = 256
/** Sockets of the guest's forwards, and what it has opened. */
const mostOpenFiles = 1024

/** QEMU's option syntax splits at commas; a doubled one is a comma of the value. */
const value = (text: string): string => text.replaceAll(',', ',,')

/** The process name shows in `ps` and `top`; the kernel keeps 15 characters of it. */
export const machineName = (instance: string, id: string): string => `guest=anteroom-${id},process=anteroom-${instance}`

/**
 * The whole command. `env`, `nice` and `prlimit` replace themselves by the next program, as does `ip netns exec`, so the pid
 * stays the one that was spawned. The kernel answers a write beyond RLIMIT_FSIZE with SIGXFSZ, which would end QEMU;
 * ignored, QEMU gets EFBIG and drops the character.
 */
export function vmmCommand(spec: VmmSpec, version: QemuVersion): { file: string; args: string[] } {
  const inNamespace = spec.network?.kind === 'tap' ? ['ip', 'netns', 'exec', spec.network.namespace] : []
  return {
    file: 'env',
    args: [
      '--ignore-signal=XFSZ',
      ...['nice', '-n', String(niceness)],
      'prlimit',
      `--fsize=${largestFileBytes}`,
      '--core=0',
      `--nofile=${mostOpenFiles}`,
      ...(spec.runAs === null ? [] : [`--nproc=${mostThreads}`]),
      '--',
      ...inNamespace,
      spec.binary,
      ...qemuArguments(spec, version),
    ],
  }
}

export function qemuArguments(spec: VmmSpec, version: QemuVersion): string[] {
  return [
    ...['-name', machineName(spec.instance, spec.id)],
    ...machine(spec),
    ...memory(spec, version),
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-rtc', 'base=utc'],
    ...['-chardev', `file,id=console,path=${fileNames.console},append=on`, '-serial', 'chardev:console'],
    ...['-qmp', `unix:${fileNames.qmp},server=on,wait=off`],
    ...origin(spec.origin),
    ...['-object', 'rng-random,id=entropy,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=entropy'],
    // Another number after each restore tells the guest's kernel that its random state has a twin (VMGenID, since Linux 5.18).
    ...['-device', 'vmgenid,guid=auto'],
    ...disk(spec.rootfs),
    ...network(spec.network),
    ...privileges(spec, version),
  ]
}

function machine(spec: VmmSpec): string[] {
  const cpu = spec.accelerator === 'kvm' ? 'host' : 'max'
  const accelerator = spec.accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'
  return [
    // No page sharing between machines (a side channel) and no guest memory in core files.
    ...['-machine', 'q35,vmport=off,sata=off,smbus=off,mem-merge=off,dump-guest-core=off,memory-backend=memory'],
    ...['-accel', accelerator, '-cpu', cpu, '-smp', String(spec.vcpus), '-m', `${spec.memoryMiB}M`],
  ]
}

/** Named, because a saved state belongs to a named backend. */
function memory({ origin, memoryMiB }: VmmSpec, version: QemuVersion): string[] {
  const common = `id=memory,size=${memoryMiB}M`
  if (origin.memoryFile === null) return ['-object', `memory-backend-ram,${common},share=off`]
  const file = `memory-backend-file,${common},mem-path=${value(origin.memoryFile)}`
  if (origin.kind === 'boot') return ['-object', `${file},share=on`]
  // Opened for reading only where QEMU can map that copy-on-write (since 8.2): then no monitor can change the shared file.
  const readOnly = isSince(version, 8, 2) ? ',readonly=on,rom=off' : ''
  return ['-object', `${file},share=off${readOnly}`]
}

function origin(origin: VmmOrigin): string[] {
  if (origin.kind === 'snapshot')
    // Loads when it is told to; what was loaded waits for `cont`.
    return ['-S', '-incoming', 'defer']
  // panic=-1 reboots at once, which -no-reboot turns into the end of the process: a panic is seen, not waited for.
  const commandLine = `${origin.commandLine} console=ttyS0 panic=-1`
  return ['-kernel', origin.kernel, '-initrd', origin.initrd, '-append', commandLine]
}

function disk(rootfs: string | null): string[] {
  if (rootfs === null) return []
  return [
    ...['-blockdev', `driver=file,node-name=rootfs-file,filename=${value(rootfs)},read-only=on,auto-read-only=off`],
    ...['-blockdev', 'driver=raw,node-name=rootfs,file=rootfs-file,read-only=on'],
    ...['-device', 'virtio-blk-pci,drive=rootfs'],
  ]
}

function network(network: VmmNetwork | null): string[] {
  if (network === null) return []
  const card = `virtio-net-pci,netdev=${deviceNames.networkBackend},id=${deviceNames.networkCard},mac=${guest.mac},romfile=`
  return ['-netdev', backend(network), '-device', card]
}

function backend(network: VmmNetwork): string {
  // Without vnet_hdr the guest's offloaded checksums are never filled in: ARP works, IP does not.
  if (network.kind === 'tap') return `tap,id=net,ifname=${network.tap},script=no,downscript=no,vhost=off,vnet_hdr=on`
  const forwards = network.ports.map((port) => `,hostfwd=tcp:${network.ip}:${port}-${guest.ip}:${port}`)
  // The DNS address must be in the network and is not answered: `restrict` drops it.
  const addresses = `net=${guest.network},host=${guest.host},dhcpstart=${guest.ip},dns=172.16.0.3`
  return `user,id=net,restrict=on,ipv4=on,ipv6=off,${addresses}${forwards.join('')}`
}

/**
 * QEMU opens tap, KVM and files as the caller and drops its privileges before the guest runs. `elevateprivileges=deny`
 * forbids setuid from the beginning, so it cannot be had together with that; after the drop the process has no
 * capability and no_new_privs either way (seen in /proc/<pid>/status). All it sees of the host's files from then on is the machine's
 * own directory (/proc/<pid>/root), which belongs to the controller's user.
 */
function privileges({ runAs, directory }: VmmSpec, version: QemuVersion): string[] {
  const sandbox = 'on,obsolete=deny,spawn=deny,resourcecontrol=deny'
  if (runAs === null) return ['-sandbox', `${sandbox},elevateprivileges=deny`]
  const user = `${runAs}:${runAs}`
  // -chroot is deprecated since 8.1, -runas since 9.1; -run-with replaces both.
  const root = isSince(version, 8, 1) ? ['-run-with', `chroot=${value(directory)}`] : ['-chroot', directory]
  const drop = isSince(version, 9, 1) ? ['-run-with', `user=${user}`] : ['-runas', user]
  return ['-sandbox', sandbox, ...root, ...drop]
}

/** What a machine of this shape consists of, whoever it is and wherever its files are: part of the key of a saved one. */
export function machineSignature(
  shape: Pick<VmmSpec, 'accelerator' | 'memoryMiB' | 'vcpus'>,
  version: QemuVersion,
): string[] {
  const nobody = {
    id: '',
    instance: '',
    binary: '',
    runAs: null,
    directory: '',
    rootfs: '',
    wanted: 'running',
  } as const
  const network = { kind: 'user', ip: '', ports: [] } as const
  const origin = { kind: 'snapshot', memoryFile: '', stateFile: '' } as const
  return qemuArguments({ ...nobody, ...shape, network, origin }, version)
}
