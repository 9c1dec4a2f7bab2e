import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ImageManifest } from '@anteroom/contract'
import { imageId } from '@anteroom/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { describeFile, imageIdOf, intactCurrent, leftovers, publish } from './publish.ts'

let images: string
beforeEach(async () => {
  images = await mkdtemp(join(tmpdir(), 'anteroom-images-'))
})
afterEach(() => rm(images, { recursive: true }))

/** A finished build with these bytes as its root file system. */
async function build(rootfs: string): Promise<{ directory: string; manifest: ImageManifest }> {
  const directory = join(images, '.build-1', 'image')
  await mkdir(directory, { recursive: true })
  for (const [name, text] of Object.entries({ kernel: 'k', initrd: 'i', rootfs })) {
    await writeFile(join(directory, name), text)
  }
  const [kernel, initrd, root] = await Promise.all(
    ['kernel', 'initrd', 'rootfs'].map((name) => describeFile(join(directory, name))),
  )
  if (!kernel || !initrd || !root) throw new Error('unreachable')
  const content = { agent_protocol: 1, command_line: 'panic=-1', kernel, initrd, rootfs: root }
  const manifest: ImageManifest = {
    ...{ format: 1, id: imageIdOf(content), inputs_sha256: 'abc', ...content },
    ...{ suite: 'trixie', architecture: 'x86_64', kernel_version: '6.12', packages: [], steps: [] },
    boot_test: { accelerator: 'tcg', hello_ms: 1, painted_ms: 2 },
    built_at: new Date(0).toISOString(),
    build_seconds: 1,
  }
  return { directory, manifest }
}

async function publishNew(rootfs: string): Promise<string> {
  const { directory, manifest } = await build(rootfs)
  return (await publish(images, directory, manifest)).id
}

test('a file is described by its size and the digest of its bytes', async () => {
  await writeFile(join(images, 'f'), 'hello')
  const sha256 = createHash('sha256').update('hello').digest('hex')
  expect(await describeFile(join(images, 'f'))).toEqual({ name: 'f', bytes: 5, sha256 })
})

test('the id follows from what a machine sees, not from when it was built', async () => {
  const { manifest } = await build('r')
  expect(imageId.safeParse(manifest.id).success).toBe(true)
  expect(imageIdOf({ ...manifest, built_at: 'later' } as ImageManifest)).toBe(manifest.id)
  for (const change of [
    { command_line: 'quiet' },
    { agent_protocol: 2 },
    { rootfs: { ...manifest.rootfs, sha256: '0'.repeat(64) } },
  ]) {
    expect(imageIdOf({ ...manifest, ...change })).not.toBe(manifest.id)
  }
})

test('a published image is current, read-only and found intact', async () => {
  const id = await publishNew('first')
  expect(await readlink(join(images, 'current'))).toBe(id)
  expect((await stat(join(images, id, 'rootfs'))).mode & 0o222).toBe(0)
  expect((await intactCurrent(images))?.id).toBe(id)
})

test('the next image replaces the current one and leaves its files to the machines that run on them', async () => {
  const first = await publishNew('first')
  const second = await publishNew('second')
  expect(second).not.toBe(first)
  expect((await intactCurrent(images))?.id).toBe(second)
  expect(await readFile(join(images, first, 'rootfs'), 'utf8')).toBe('first')
})

test('publishing the same content again repairs a damaged image in place', async () => {
  const id = await publishNew('same')
  const damaged = join(images, id, 'rootfs')
  await chmod(damaged, 0o644)
  await writeFile(damaged, 'sane')
  expect(await intactCurrent(images)).toBeUndefined()
  expect(await publishNew('same')).toBe(id)
  expect((await intactCurrent(images))?.id).toBe(id)
})

test('without an image, or with a manifest that is none, there is no intact one', async () => {
  expect(await intactCurrent(images)).toBeUndefined()
  const id = await publishNew('x')
  const manifest = join(images, id, 'manifest.json')
  await chmod(manifest, 0o644)
  await writeFile(manifest, '{}')
  expect(await intactCurrent(images)).toBeUndefined()
})

test('leftovers are what builds made, never an image', async () => {
  const id = await publishNew('kept')
  await mkdir(join(images, '.build-77'), { recursive: true })
  await writeFile(join(images, '.current-77'), '')
  await writeFile(join(images, '.lock'), '')
  const found = (await leftovers(images)).map((path) => path.slice(images.length + 1)).sort()
  expect(found).toEqual(['.build-1', '.build-77', '.current-77'])
  expect(await readdir(images)).toContain(id)
})
