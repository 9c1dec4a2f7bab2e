import { describe, expect, test } from 'vitest'
import { qemuArguments, vmmCommand } from './qemu-arguments.ts'
import type { VmmSpec } from './spec.ts'

const spec: VmmSpec = {
  id: 'vm_abcdefghijklmnopqrstuvwx',
  instance: 'abcdef',
  binary: 'qemu-system-x86_64',
  accelerator: 'tcg',
  origin: { kind: 'boot', kernel: '/image/kernel', initrd: '/image/initrd', commandLine: 'quiet', memoryFile: null },
  wanted: 'running',
  rootfs: '/image/rootfs',
  memoryMiB: 1536,
  vcpus: 2,
  network: null,
  runAs: 58_000,
  directory: '/machine',
}
const debian12 = { text: '', major: 7, minor: 2 }
const optionValue = (args: string[], option: string): string | undefined => args[args.indexOf(option) + 1]

describe('QEMU command line', () => {
  test.each([
    [debian12, '-runas'],
    [{ text: '', major: 8, minor: 2 }, '-runas'],
    [{ text: '', major: 9, minor: 0 }, '-runas'],
  ])('drops privileges with -runas before 9.1', (version, option) => {
    expect(optionValue(qemuArguments(spec, version), option)).toBe('58000:58000')
  })

  test.each([
    { text: '', major: 9, minor: 1 },
    { text: '', major: 10, minor: 0 },
  ])('drops privileges with -run-with from 9.1 on', (version) => {
    const args = qemuArguments(spec, version)
    expect(args.slice(-4)).toEqual(['-run-with', 'chroot=/machine', '-run-with', 'user=58000:58000'])
    expect(args).not.toContain('-runas')
  })

  test('sees its machine’s directory only, with the option that its version has', () => {
    const inDirectory = { ...spec, directory: '/mach,ine' }
    expect(optionValue(qemuArguments(inDirectory, debian12), '-chroot')).toBe('/mach,ine')
    const args = qemuArguments(inDirectory, { text: '', major: 8, minor: 1 })
    expect(args.slice(-4)).toEqual(['-run-with', 'chroot=/mach,,ine', '-runas', '58000:58000'])
    expect(qemuArguments({ ...spec, runAs: null }, debian12)).not.toContain('-chroot')
  })

  test('denies setuid when there is nothing to drop', () => {
    expect(optionValue(qemuArguments({ ...spec, runAs: null }, debian12), '-sandbox')).toContain(
      'elevateprivileges=deny',
    )
  })

  test('a comma in a path stays in the path', () => {
    const args = qemuArguments({ ...spec, rootfs: '/im,age/rootfs' }, debian12)
    expect(args.find((arg) => arg.includes('node-name=rootfs-file'))).toContain('filename=/im,,age/rootfs,read-only=on')
  })

  test('no disk is writable', () => {
    const disks = qemuArguments(spec, debian12).filter((arg) => arg.startsWith('driver='))
    expect(disks).toHaveLength(2)
    for (const disk of disks) expect(disk).toContain('read-only=on')
  })

  test('a tap machine is started inside its namespace, limited and yielding first', () => {
    const network = { kind: 'tap', namespace: 'ar-abcdef-3', tap: 'tap0' } as const
    const { file, args } = vmmCommand({ ...spec, network }, debian12)
    const limits = '--fsize=16777216 --core=0 --nofile=1024'
    const expected = (more: string) =>
      `env --ignore-signal=XFSZ nice -n 15 prlimit ${limits}${more} -- ip netns exec ar-abcdef-3 qemu-system-x86_64`
    expect([file, ...args].join(' ')).toMatch(new RegExp(`^${expected(' --nproc=256')} `))
    // Where it runs as the caller, threads of everything that the caller runs would be counted.
    const own = vmmCommand({ ...spec, network, runAs: null }, debian12)
    expect([own.file, ...own.args].join(' ')).toMatch(new RegExp(`^${expected('')} `))
  })

  test('user-mode networking is restricted and forwards the given ports only', () => {
    const network = { kind: 'user', ip: '127.213.0.7', ports: [7000, 5900] } as const
    const netdev = optionValue(qemuArguments({ ...spec, network }, debian12), '-netdev')
    expect(netdev).toContain('restrict=on')
    expect(netdev?.match(/hostfwd=[^,]+/g)).toEqual([
      'hostfwd=tcp:127.213.0.7:7000-172.16.0.2:7000',
      'hostfwd=tcp:127.213.0.7:5900-172.16.0.2:5900',
    ])
  })
})
