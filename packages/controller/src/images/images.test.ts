import { createHash } from 'node:crypto'
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { agentProtocol, type ImageManifest, imageContentText } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openImages } from './images.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'anteroom-images-'))
})
afterEach(() => rm(home, { recursive: true }))

const pathOf = (id: string, name: string): string => join(home, 'images', id, name)

/** As a build publishes it. */
async function publish(options: { rootfs?: string; protocol?: number; builtAt?: number } = {}): Promise<string> {
  const contents = { kernel: 'kernel bytes', initrd: 'initrd bytes', rootfs: options.rootfs ?? 'rootfs bytes' }
  const file = (name: keyof typeof contents) => ({ name, bytes: contents[name].length, sha256: sha256(contents[name]) })
  const content = {
    ...{ agent_protocol: options.protocol ?? agentProtocol, command_line: 'panic=-1' },
    ...{ kernel: file('kernel'), initrd: file('initrd'), rootfs: file('rootfs') },
  }
  const id = `img_${sha256(imageContentText(content)).slice(0, 24)}`
  const manifest: ImageManifest = {
    ...{ format: 1, id, inputs_sha256: '', ...content, suite: 'trixie', architecture: 'x86_64' },
    ...{ kernel_version: '6.12', packages: [{ name: 'chromium', version: '156-1' }], steps: [], build_seconds: 90 },
    built_at: new Date(options.builtAt ?? 0).toISOString(),
    boot_test: { accelerator: 'tcg', hello_ms: 1, painted_ms: 2 },
  }
  await mkdir(join(home, 'images', id), { recursive: true })
  for (const [name, text] of Object.entries(contents)) await writeFile(pathOf(id, name), text)
  await writeFile(pathOf(id, 'manifest.json'), JSON.stringify(manifest))
  await symlink(id, join(home, 'images', 'next'))
  await rename(join(home, 'images', 'next'), join(home, 'images', 'current'))
  return id
}

/** Same size, one bit different. */
async function flip(path: string): Promise<void> {
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(3) ^ 1, 3)
  await writeFile(path, bytes)
}

describe('current', () => {
  test('gives the published image', async () => {
    const id = await publish()
    const image = await openImages(home).current()
    expect(image).toMatchObject({ id, directory: join(home, 'images', id), manifest: { id } })
  })

  test('is image_missing in an empty state directory', async () => {
    await expect(openImages(home).current()).rejects.toMatchObject({ code: 'image_missing' })
  })

  test.each(['kernel', 'initrd', 'rootfs', 'manifest.json'])(
    'is image_missing, naming it, without %s',
    async (name) => {
      const id = await publish()
      await rm(pathOf(id, name))
      const missing = { code: 'image_missing', detail: expect.stringContaining(pathOf(id, name)) }
      await expect(openImages(home).current()).rejects.toMatchObject(missing)
    },
  )

  test.each(['kernel', 'initrd', 'rootfs'])('is image_corrupt, naming it, with a byte of %s flipped', async (name) => {
    const id = await publish()
    await flip(pathOf(id, name))
    const corrupt = { code: 'image_corrupt', detail: expect.stringContaining(pathOf(id, name)) }
    await expect(openImages(home).current()).rejects.toMatchObject(corrupt)
  })

  test.each([
    ['truncated', (path: string) => truncate(path, 5)],
    ['longer', (path: string) => appendFile(path, 'x')],
  ])('is image_corrupt with the root file system %s', async (_how, damage) => {
    const id = await publish()
    await damage(pathOf(id, 'rootfs'))
    await expect(openImages(home).current()).rejects.toMatchObject({ code: 'image_corrupt' })
  })

  test.each([
    ['no JSON', (text: string) => text.slice(0, -2)],
    ['another command line', (text: string) => text.replace('panic=-1', 'panic=-2')],
    ['a field missing', (text: string) => text.replace('"suite":"trixie",', '')],
  ])('is image_corrupt with %s in the manifest', async (_how, damage) => {
    const path = pathOf(await publish(), 'manifest.json')
    await writeFile(path, damage(await readFile(path, 'utf8')))
    await expect(openImages(home).current()).rejects.toMatchObject({ code: 'image_corrupt' })
  })

  test('does not follow a link that leads out of the images', async () => {
    await mkdir(join(home, 'images'))
    await symlink('../../etc', join(home, 'images', 'current'))
    await expect(openImages(home).current()).rejects.toMatchObject({ code: 'image_corrupt' })
  })

  test('is agent_incompatible with an agent of another protocol; its machines still find it', async () => {
    const id = await publish({ protocol: agentProtocol + 1 })
    const images = openImages(home)
    await expect(images.current()).rejects.toMatchObject({ code: 'agent_incompatible' })
    expect((await images.get(id)).id).toBe(id)
  })

  test('follows a switch to another image, and get still gives the one before', async () => {
    const first = await publish({ rootfs: 'one' })
    const images = openImages(home)
    expect((await images.current()).id).toBe(first)
    const second = await publish({ rootfs: 'two' })
    expect((await images.current()).id).toBe(second)
    expect((await images.get(first)).id).toBe(first)
  })
})

describe('what is remembered', () => {
  test('a flipped byte is found afterwards too, even with the modification time put back', async () => {
    const id = await publish()
    const images = openImages(home)
    await images.current()
    const { atime, mtime } = await stat(pathOf(id, 'rootfs'))
    await flip(pathOf(id, 'rootfs'))
    await utimes(pathOf(id, 'rootfs'), atime, mtime)
    await expect(images.current()).rejects.toMatchObject({ code: 'image_corrupt' })
    await expect(openImages(home).current()).rejects.toMatchObject({ code: 'image_corrupt' })
  })

  test('a damaged image is refused each time that it is asked for', async () => {
    const id = await publish()
    await flip(pathOf(id, 'rootfs'))
    const images = openImages(home)
    await expect(images.current()).rejects.toMatchObject({ code: 'image_corrupt' })
    await expect(images.current()).rejects.toMatchObject({ code: 'image_corrupt' })
  })

  test('the files are not read again by the next controller, and verify reads them all the same', async () => {
    const id = await publish()
    await openImages(home).current()
    const memory = join(home, 'cache', 'verified-images.json')
    const remembered = JSON.parse(await readFile(memory, 'utf8'))
    expect(Object.keys(remembered)).toHaveLength(3)
    // A memory that vouches for damaged bytes stands for damage that no file time tells of.
    await flip(pathOf(id, 'rootfs'))
    const { ino, size, mtimeNs, ctimeNs } = await stat(pathOf(id, 'rootfs'), { bigint: true })
    const [sha256] = remembered[pathOf(id, 'rootfs')].split(' ')
    remembered[pathOf(id, 'rootfs')] = [sha256, ino, size, mtimeNs, ctimeNs].join(' ')
    await writeFile(memory, JSON.stringify(remembered))
    const images = openImages(home)
    expect((await images.current()).id).toBe(id)
    await expect(images.verify(id, Scope.root('test'))).rejects.toMatchObject({ code: 'image_corrupt' })
    await expect(images.current()).rejects.toMatchObject({ code: 'image_corrupt' })
  })

  test('a memory that cannot be read costs a reading, not the image', async () => {
    const id = await publish()
    await mkdir(join(home, 'cache'))
    await writeFile(join(home, 'cache', 'verified-images.json'), '{')
    expect((await openImages(home).current()).id).toBe(id)
  })
})

test('list gives images newest first, the current one marked, and leaves out what is none', async () => {
  expect(await openImages(home).list()).toEqual([])
  const older = await publish({ rootfs: 'old', builtAt: 1000 })
  const newer = await publish({ rootfs: 'newer', builtAt: 2000 })
  await mkdir(join(home, 'images', '.build-12'))
  const listed = await openImages(home).list()
  expect(listed.map(({ id, current, bytes }) => ({ id, current, bytes }))).toEqual([
    { id: newer, current: true, bytes: 12 + 12 + 5 },
    { id: older, current: false, bytes: 12 + 12 + 3 },
  ])
  expect(listed[0]?.browser_version).toBe('156-1')
})

test('collect removes what nobody uses, and nothing else', async () => {
  const [unused, used, current] = [
    await publish({ rootfs: 'a' }),
    await publish({ rootfs: 'b' }),
    await publish({ rootfs: 'c' }),
  ]
  await mkdir(join(home, 'images', '.build-12'))
  const images = openImages(home)
  expect(await images.collect(new Set([used]))).toEqual([unused])
  expect((await readdir(join(home, 'images'))).sort()).toEqual(['.build-12', 'current', current, used].sort())
  await rm(join(home, 'images', 'current'))
  expect(await images.collect(new Set())).toEqual([])
})

test('collect leaves the images of another state directory alone', async () => {
  const unused = await publish({ rootfs: 'a' })
  await publish({ rootfs: 'b' })
  const other = await mkdtemp(join(tmpdir(), 'anteroom-images-'))
  try {
    await symlink(join(home, 'images'), join(other, 'images'))
    expect(await openImages(other).collect(new Set())).toEqual([])
    expect(await openImages(home).collect(new Set())).toEqual([unused])
  } finally {
    await rm(other, { recursive: true })
  }
})
