import { expect, test } from 'vitest'
import { dependenciesOf, inLoadOrder, moduleName } from './kernel-modules.ts'

/** An object file as far as its `.modinfo` section. */
const objectFile = (depends: string, before = 'license=GPL'): Buffer =>
  Buffer.from(`\x7fELF\0${before}\0depends=${depends}\0retpoline=Y\0name=x\0`, 'latin1')

const modules: Record<string, Buffer> = {
  virtio_net: objectFile('net_failover'),
  net_failover: objectFile('failover'),
  failover: objectFile(''),
  ext4: objectFile('jbd2,mbcache,crc16'),
  jbd2: objectFile(''),
  mbcache: objectFile(''),
  virtio_rng: objectFile('virtio,virtio-ring'),
  virtio: objectFile('virtio_ring'),
  virtio_ring: objectFile(''),
}
const builtin = ['crc16']
const load = async (name: string): Promise<Buffer | undefined> => {
  if (builtin.includes(name)) return undefined
  const content = modules[name]
  if (!content) throw new Error(`no module ${name}`)
  return content
}
const names = async (...wanted: string[]): Promise<string[]> =>
  (await inLoadOrder(wanted, load)).map((module) => module.name)

test('each module comes after everything that it needs, directly or not', async () => {
  expect(await names('virtio_net', 'ext4')).toEqual([
    ...['failover', 'net_failover', 'virtio_net'],
    ...['jbd2', 'mbcache', 'ext4'],
  ])
})

test('a module that several need is loaded once, and file names may use hyphens', async () => {
  expect(await names('virtio', 'virtio_rng')).toEqual(['virtio_ring', 'virtio', 'virtio_rng'])
})

test('what the kernel has built in is not loaded', async () => {
  expect(await names('crc16')).toEqual([])
})

test('a module that does not exist fails with its name', async () => {
  await expect(names('floppy')).rejects.toThrow('no module floppy')
})

test('modules that need each other do not loop', async () => {
  const circle: Record<string, Buffer> = { a: objectFile('b'), b: objectFile('a') }
  const order = await inLoadOrder(['a'], async (name) => circle[name])
  expect(order.map(({ name }) => name)).toEqual(['b', 'a'])
})

test('only the whole key counts as depends', () => {
  expect(dependenciesOf(objectFile('', 'softdepends=wrong'))).toEqual([])
  expect(dependenciesOf(Buffer.from('\x7fELF without modinfo'))).toEqual([])
})

test.each([
  ['kernel/drivers/char/hw_random/virtio-rng.ko.xz', 'virtio_rng'],
  ['kernel/fs/ext4/ext4.ko', 'ext4'],
  ['', ''],
])('the file %j is the module %j', (file, name) => {
  expect(moduleName(file)).toBe(name)
})
