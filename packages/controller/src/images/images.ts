/** The golden images of this host: which one is current, and whether it is what was published. `packages/image` builds them. */
import { lstat, readdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, type Scope, systemErrorCode } from '@anteroom/base'
import { agentProtocol, type Image, type ImageManifest, imageId } from '@anteroom/contract'
import { readManifest } from './read-manifest.ts'
import { ImageVerifier } from './verify-image.ts'

/** A published image on disk; the files are read-only and never change. */
export interface ImageFiles {
  readonly id: string
  /** Absolute; contains manifest.json, kernel, initrd, rootfs. */
  readonly directory: string
  readonly manifest: ImageManifest
}

export interface Images {
  /**
   * The image that new machines start from. Costs three `stat` calls once its files were verified.
   * @throws AppError image_missing, image_corrupt, agent_incompatible
   */
  current(): Promise<ImageFiles>
  /** The image of a machine that exists already. @throws AppError image_missing, image_corrupt */
  get(id: string): Promise<ImageFiles>
  /** Reads every byte, whatever is remembered. @throws AppError image_missing, image_corrupt */
  verify(id: string, scope: Scope): Promise<void>
  /** Those with a manifest that can be read, newest first. */
  list(): Promise<Image[]>
  /** Those that `collect` would remove. */
  unused(inUse: ReadonlySet<string>): Promise<string[]>
  /** Removes the images that are neither current nor `inUse` by a machine; gives their ids. */
  collect(inUse: ReadonlySet<string>): Promise<string[]>
}

export function openImages(home: string): Images {
  const directory = join(home, 'images')
  const verifier = new ImageVerifier(join(home, 'cache', 'verified-images.json'))
  const read = async (id: string): Promise<ImageFiles> => ({
    id,
    directory: join(directory, id),
    manifest: await readManifest(directory, id),
  })
  const get = async (id: string): Promise<ImageFiles> => {
    const files = await read(id)
    await verifier.ensure(files)
    return files
  }
  return {
    get,
    async current() {
      const id = await currentId(directory)
      if (id === undefined) throw new AppError('image_missing', { detail: `${directory} has no current image` })
      const files = await get(id)
      const spoken = files.manifest.agent_protocol
      if (spoken === agentProtocol) return files
      const detail = `the agent of ${id} speaks protocol ${spoken}, this controller ${agentProtocol}`
      throw new AppError('agent_incompatible', { detail })
    },
    async verify(id, scope) {
      await verifier.readAll(await read(id), scope)
    },
    async list() {
      const current = await currentId(directory)
      const ids = await idsIn(directory)
      const manifests = await Promise.all(ids.map((id) => readManifest(directory, id).catch(() => undefined)))
      return manifests
        .filter((manifest) => manifest !== undefined)
        .map((manifest) => summary(manifest, manifest.id === current))
        .sort((a, b) => b.built_at.localeCompare(a.built_at))
    },
    unused: (inUse) => unusedIn(directory, inUse),
    async collect(inUse) {
      const unused = await unusedIn(directory, inUse)
      for (const id of unused) await rm(join(directory, id), { recursive: true, force: true })
      return unused
    },
  }
}

async function unusedIn(directory: string, inUse: ReadonlySet<string>): Promise<string[]> {
  // Images of another state directory, whose machines are not known here.
  if (await isLink(directory)) return []
  const ids = await idsIn(directory)
  // Read after the list: an image that is published meanwhile is not in it.
  const current = await currentId(directory)
  return current === undefined ? [] : ids.filter((id) => id !== current && !inUse.has(id))
}

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (status) => status.isSymbolicLink(),
    () => false,
  )

/** `current` is a symbolic link to the image's directory beside it. */
async function currentId(directory: string): Promise<string | undefined> {
  try {
    return await readlink(join(directory, 'current'))
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw AppError.from(error, 'image_corrupt')
  }
}

async function idsIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => imageId.safeParse(name).success)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}

function summary(manifest: ImageManifest, current: boolean): Image {
  const { id, suite, kernel_version, built_at, build_seconds, boot_test, kernel, initrd, rootfs, packages } = manifest
  return {
    ...{ id, suite, kernel_version, built_at, build_seconds, boot_test, current },
    bytes: kernel.bytes + initrd.bytes + rootfs.bytes,
    browser_version: packages.find(({ name }) => name === 'chromium')?.version ?? null,
  }
}
