import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { systemErrorCode } from '@anteroom/base'
import { type ImageContent, type ImageManifest, imageContentText, imageManifest } from '@anteroom/contract'

export interface PublishedImage {
  readonly id: string
  /** Absolute; contains manifest.json, kernel, initrd, rootfs. */
  readonly directory: string
  readonly manifest: ImageManifest
}

type FileEntry = ImageManifest['kernel']

export const fileNames = ['kernel', 'initrd', 'rootfs'] as const

export async function describeFile(path: string): Promise<FileEntry> {
  const digest = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), digest)
  return { name: basename(path), bytes: (await stat(path)).size, sha256: digest.digest('hex') }
}

/** The same content is the same image, whenever and however it was built. */
export const imageIdOf = (content: ImageContent): string =>
  `img_${createHash('sha256').update(imageContentText(content)).digest('hex').slice(0, 24)}`

/** The current image when there is one and each of its files is what the manifest says. */
export async function intactCurrent(images: string): Promise<PublishedImage | undefined> {
  try {
    const id = await readlink(join(images, 'current'))
    const directory = join(images, id)
    const manifest = imageManifest.parse(JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')))
    for (const name of fileNames) {
      const now = await describeFile(join(directory, name))
      if (now.sha256 !== manifest[name].sha256) return undefined
    }
    return { id, directory, manifest }
  } catch {
    // Whatever is wrong with it, the answer is a new image.
    return undefined
  }
}

/**
 * Makes `built` the current image. Machines of another image keep theirs. A crash at any line leaves the one or the other
 * current, whole.
 */
export async function publish(images: string, built: string, manifest: ImageManifest): Promise<PublishedImage> {
  const directory = join(images, manifest.id)
  await writeFile(join(built, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  for (const name of [...fileNames, 'manifest.json']) {
    await chmod(join(built, name), 0o444)
    await sync(join(built, name))
  }
  await chmod(built, 0o755)
  try {
    await rename(built, directory)
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '')) throw error
    // The same content was published before, and is perhaps damaged: file by file, each the same bytes as its manifest says.
    for (const name of [...fileNames, 'manifest.json']) await rename(join(built, name), join(directory, name))
  }
  await sync(images)
  await switchCurrent(images, manifest.id)
  return { id: manifest.id, directory, manifest }
}

/** A symbolic link cannot be changed, but another one can be renamed over it, which is atomic. */
async function switchCurrent(images: string, id: string): Promise<void> {
  const next = join(images, `.current-${process.pid}`)
  await rm(next, { force: true })
  await symlink(id, next)
  await rename(next, join(images, 'current'))
  await sync(images)
}

/** fsync: after a power failure `current` must not name an image whose bytes never reached the disk. */
async function sync(path: string): Promise<void> {
  await using handle = await open(path)
  await handle.sync()
}

/** What builds that were killed left behind. Only for the holder of the build lock. */
export async function leftovers(images: string): Promise<string[]> {
  await mkdir(images, { recursive: true })
  const names = await readdir(images)
  return names.filter((name) => /^\.(build|current)-\d+$/.test(name)).map((name) => join(images, name))
}

export const buildDirectory = (images: string): string => join(images, `.build-${process.pid}`)
