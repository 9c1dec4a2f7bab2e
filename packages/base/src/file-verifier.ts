import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { systemErrorCode } from './app-error.ts'

export interface ExpectedFile {
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

/** A file is not what its manifest says; the message tells how. */
export class FileMismatch extends Error {
  override readonly name = 'FileMismatch'
  readonly missing: boolean
  constructor(message: string, options: { missing?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.missing = options.missing ?? false
  }
}

/**
 * Whoever changes a byte of a file changes its ctime, which no program can set; so content that was read once needs no
 * second reading while inode, size, mtime and ctime stay. Reading 0.76 GB takes 0.6 s from the page cache and seconds
 * from a disk.
 */
export class FileVerifier {
  readonly #memoryFile: string
  readonly #running = new Map<string, Promise<void>>()
  /** Identities, by path, of files whose content was right. */
  #verified: Promise<Map<string, string>> | undefined

  /** `memoryFile` remembers what was read, from one start to the next. */
  constructor(memoryFile: string) {
    this.#memoryFile = memoryFile
  }

  /** @throws FileMismatch */
  async ensure(path: string, expected: ExpectedFile): Promise<void> {
    await this.#once(path, () => this.#check(path, expected))
  }

  /** Takes the word of whoever has just written the file and knows its checksum. @throws FileMismatch on another size */
  async vouch(path: string, expected: ExpectedFile): Promise<void> {
    const { real, identity } = await identityOf(path, expected)
    const verified = await this.#load()
    verified.set(real, identity)
    await this.#remember(verified)
  }

  async #once(path: string, check: () => Promise<void>): Promise<void> {
    const running = this.#running.get(path)
    if (running !== undefined) return await running
    const work = check().finally(() => this.#running.delete(path))
    this.#running.set(path, work)
    await work
  }

  /** Reads every byte, whatever is remembered. @throws FileMismatch */
  async read(path: string, expected: ExpectedFile, signal: AbortSignal): Promise<void> {
    await this.#check(path, expected, signal)
  }

  async #check(path: string, expected: ExpectedFile, readAll?: AbortSignal): Promise<void> {
    const verified = await this.#load()
    const { real, identity } = await identityOf(path, expected)
    if (!readAll && verified.get(real) === identity) return
    const sha256 = await digestOf(path, readAll)
    if (sha256 === expected.sha256) {
      verified.set(real, identity)
      await this.#remember(verified)
      return
    }
    if (verified.delete(real)) await this.#remember(verified)
    throw new FileMismatch(`${path} does not match its checksum`)
  }

  /** What cannot be read is verified again. */
  #load(): Promise<Map<string, string>> {
    this.#verified ??= readFile(this.#memoryFile, 'utf8')
      .then((text) => new Map<string, string>(Object.entries(JSON.parse(text))))
      .catch(() => new Map())
    return this.#verified
  }

  /** On a full disk the files are read again after the next start; everything else goes on. */
  async #remember(verified: Map<string, string>): Promise<void> {
    try {
      await mkdir(dirname(this.#memoryFile), { recursive: true })
      await writeFile(`${this.#memoryFile}.new`, JSON.stringify(Object.fromEntries(verified)), { mode: 0o600 })
      await rename(`${this.#memoryFile}.new`, this.#memoryFile)
    } catch {}
  }
}

/** By its real path: a directory of images or snapshots that several state directories link to is read once for all. */
async function identityOf(path: string, { bytes, sha256 }: ExpectedFile): Promise<{ real: string; identity: string }> {
  try {
    const real = await realpath(path)
    const { ino, size, mtimeNs, ctimeNs } = await stat(real, { bigint: true })
    if (size === BigInt(bytes)) return { real, identity: [sha256, ino, size, mtimeNs, ctimeNs].join(' ') }
    throw new FileMismatch(`${path} has ${size} bytes instead of ${bytes}`)
  } catch (error) {
    throw error instanceof FileMismatch ? error : unreadable(error, path)
  }
}
async function digestOf(path: string, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), digest, { signal }).catch((error: unknown) => {
    throw unreadable(error, path)
  })
  return digest.digest('hex')
}

const unreadable = (error: unknown, path: string): FileMismatch =>
  systemErrorCode(error) === 'ENOENT'
    ? new FileMismatch(`${path} does not exist`, { missing: true, cause: error })
    : new FileMismatch(`${path} cannot be read`, { cause: error })
