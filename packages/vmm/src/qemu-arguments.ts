import type { QemuVersion } from './qemu-version.ts'
import type { VmmNetwork, VmmSpec } from './spec.ts'

/** Files in a machine's directory; relative, because a unix socket's address holds 107 bytes only (unix(7)). */
export const fileNames = { qmp: 'qmp.sock', console: 'console.log', log: 'vmm.log', identity: 'vmm.json' } as const

/** The same in each machine, so that nothing in the guest depends on which machine it is. */
const guest = { mac: '52:54:00:a1:7e:00', ip: '172.16.0.2', network: '172.16.0.0/30', host: '172.16.0.1' } as const

/** 16 MiB: a whole boot prints 60 KiB. What a guest prints beyond that is lost, not the host's disk. */
const largestFileBytes = 16 * 1024 * 1024

/** QEMU's option syntax splits at commas; a doubled one is a comma of the value. */
const value = (text: string): string => text.replaceAll(',', ',,')

/** The process name shows in `ps` and `top`; the kernel keeps 15 characters of it. */
export const machineName = (instance: string, id: string): string => `guest=anteroom-${id},process=anteroom-${instance}`

/**
 * The whole command. `env` and `prlimit` replace themselves by the next program, as does `ip netns exec`, so the pid
 * stays the one that was spawned. The kernel answers a write beyond RLIMIT_FSIZE with SIGXFSZ, which would end QEMU;
 * ignored, QEMU gets EFBIG and drops the character.
 */
export function vmmCommand(spec: VmmSpec, version: QemuVersion): { file: string; args: string[] } {
  const inNamespace = spec.network?.kind === 'tap' ? ['ip', 'netns', 'exec', spec.network.namespace] : []
  return {
    file: 'env',
    args: [
      '--ignore-signal=XFSZ',
      'prlimit',
      `--fsize=${largestFileBytes}`,
      '--core=0',
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
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-rtc', 'base=utc'],
    ...['-chardev', `file,id=console,path=${fileNames.console},append=on`, '-serial', 'chardev:console'],
    ...['-qmp', `unix:${fileNames.qmp},server=on,wait=off`],
    ...['-kernel', spec.kernel, '-initrd', spec.initrd],
    // panic=-1 reboots at once, which -no-reboot turns into the end of the process: a panic is seen, not waited for.
    ...['-append', `${spec.commandLine} console=ttyS0 panic=-1`],
    ...['-object', 'rng-random,id=entropy,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=entropy'],
    ...disk(spec.rootfs),
    ...network(spec.network),
    ...privileges(spec.runAs, version),
  ]
}

function machine(spec: VmmSpec): string[] {
  const cpu = spec.accelerator === 'kvm' ? 'host' : 'max'
  const accelerator = spec.accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'
  return [
    // No page sharing between machines (a side channel) and no guest memory in core files.
    ...['-machine', 'q35,vmport=off,sata=off,smbus=off,mem-merge=off,dump-guest-core=off,memory-backend=memory'],
    ...['-accel', accelerator, '-cpu', cpu, '-smp', String(spec.vcpus), '-m', `${spec.memoryMiB}M`],
    // Named, because a saved state belongs to a named backend; private to the process.
    ...['-object', `memory-backend-ram,id=memory,size=${spec.memoryMiB}M,share=off`],
  ]
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
  return ['-netdev', backend(network), '-device', `virtio-net-pci,netdev=net,mac=${guest.mac},romfile=`]
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
 * capability and no_new_privs either way (seen in /proc/<pid>/status).
 */
function privileges(runAs: number | null, version: QemuVersion): string[] {
  const sandbox = 'on,obsolete=deny,spawn=deny,resourcecontrol=deny'
  if (runAs === null) return ['-sandbox', `${sandbox},elevateprivileges=deny`]
  // -runas is deprecated since 9.1, where -run-with user= replaces it.
  const modern = version.major > 9 || (version.major === 9 && version.minor >= 1)
  const drop = modern ? ['-run-with', `user=${runAs}:${runAs}`] : ['-runas', `${runAs}:${runAs}`]
  return ['-sandbox', sandbox, ...drop]
}
