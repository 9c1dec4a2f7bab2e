import { join } from 'node:path'
import { AppError, type ExpectedFile, FileMismatch, FileVerifier, type Scope } from '@anteroom/base'
import type { ImageFiles } from './images.ts'

const fileNames = ['kernel', 'initrd', 'rootfs'] as const

/** Are an image's files what its manifest says? */
export class ImageVerifier {
  readonly #files: FileVerifier

  constructor(memoryFile: string) {
    this.#files = new FileVerifier(memoryFile)
  }

  /** Reads only what has changed since it was read. @throws AppError image_missing, image_corrupt */
  async ensure(image: ImageFiles): Promise<void> {
    await each(image, (path, expected) => this.#files.ensure(path, expected))
  }

  /** @throws AppError image_missing, image_corrupt */
  async readAll(image: ImageFiles, scope: Scope): Promise<void> {
    await scope.race(each(image, (path, expected) => this.#files.read(path, expected, scope.signal)))
  }
}

async function each(
  { directory, manifest }: ImageFiles,
  verify: (path: string, expected: ExpectedFile) => Promise<void>,
): Promise<void> {
  try {
    for (const name of fileNames) await verify(join(directory, name), manifest[name])
  } catch (error) {
    if (!(error instanceof FileMismatch)) throw error
    throw new AppError(error.missing ? 'image_missing' : 'image_corrupt', { detail: error.message, cause: error })
  }
}
