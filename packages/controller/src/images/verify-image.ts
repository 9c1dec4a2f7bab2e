import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { AppError, type Scope } from '@anteroom/base'
import type { ImageFiles } from './images.ts'
import { missingOr } from './read-manifest.ts'

const fileNames = ['kernel', 'initrd', 'rootfs'] as const

/**
 * Whoever changes a byte of a file changes its ctime, which no program can set; so content that was read once needs no
 * second reading while inode, size, mtime and ctime stay. Reading 0.76 GB takes 0.6 s from the page cache and seconds
 * from a disk.
 */
export class ImageVerifier {
  readonly #memoryFile: string
  readonly #running = new Map<string, Promise<void>>()
  /** Identities, by path, of files whose content was right. */
  #verified: Promise<Map<string, string>> | undefined

  constructor(memoryFile: string) {
    this.#memoryFile = memoryFile
  }

  /** @throws AppError image_missing, image_corrupt */
  async ensure(image: ImageFiles): Promise<void> {
    const running = this.#running.get(image.id)
    if (running !== undefined) return await running
    const work = this.#check(image, false).finally(() => this.#running.delete(image.id))
    this.#running.set(image.id, work)
    await work
  }

  /** @throws AppError image_missing, image_corrupt */
  async readAll(image: ImageFiles, scope: Scope): Promise<void> {
    await scope.race(this.#check(image, true, scope.signal))
  }

  async #check(image: ImageFiles, readAll: boolean, signal?: AbortSignal): Promise<void> {
    this.#verified ??= this.#remembered()
    const verified = await this.#verified
    let learned = false
    for (const name of fileNames) {
      const path = join(image.directory, name)
      const identity = await identityOf(path, image.manifest[name].bytes)
      if (!readAll && verified.get(path) === identity) continue
      const sha256 = await digestOf(path, signal)
      if (sha256 !== image.manifest[name].sha256) {
        if (verified.delete(path)) await this.#remember(verified)
        throw new AppError('image_corrupt', { detail: `${path} does not match its checksum` })
      }
      verified.set(path, identity)
      learned = true
    }
    if (learned) await this.#remember(verified)
  }

  /** What cannot be read is verified again. */
  async #remembered(): Promise<Map<string, string>> {
    try {
      return new Map(Object.entries(JSON.parse(await readFile(this.#memoryFile, 'utf8'))))
    } catch {
      return new Map()
    }
  }

  /** On a full disk the files are read again after the next start; sessions go on. */
  async #remember(verified: Map<string, string>): Promise<void> {
    try {
      await mkdir(dirname(this.#memoryFile), { recursive: true })
      await writeFile(`${this.#memoryFile}.new`, JSON.stringify(Object.fromEntries(verified)), { mode: 0o600 })
      await rename(`${this.#memoryFile}.new`, this.#memoryFile)
    } catch {}
  }
}

async function identityOf(path: string, bytes: number): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true }).catch((error: unknown) => {
    throw missingOr(error, path)
  })
  if (size === BigInt(bytes)) return [ino, size, mtimeNs, ctimeNs].join(' ')
  throw new AppError('image_corrupt', { detail: `${path} has ${size} bytes instead of ${bytes}` })
}

async function digestOf(path: string, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), digest, { signal }).catch((error: unknown) => {
    throw missingOr(error, path)
  })
  return digest.digest('hex')
}
