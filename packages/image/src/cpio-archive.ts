export interface ArchiveEntry {
  readonly path: string
  /** With the type's bits, as in stat(2). */
  readonly mode: number
  readonly content?: Buffer
}

/**
 * An archive in the one format that the kernel unpacks as its initial RAM disk ("newc", see the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst). Everything belongs to root and has no time, so that the
 * same files give the same bytes: cpio(1) would put inode numbers and times in.
 */
export function cpioArchive(entries: readonly ArchiveEntry[]): Buffer {
  const all = [...entries, { path: 'TRAILER!!!', mode: 0 }]
  return Buffer.concat(all.flatMap((entry, index) => record(entry, index + 1)))
}

function record({ path, mode, content = Buffer.alloc(0) }: ArchiveEntry, inode: number): Buffer[] {
  const links = (mode & 0o170000) === 0o40000 ? 2 : 1
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, path.length + 1, 0]
  const header = fields.map((field) => field.toString(16).padStart(8, '0')).join('')
  return [padded(Buffer.from(`070701${header}${path}\0`, 'latin1')), padded(content)]
}

/** Header with name, and content, each end at a multiple of four bytes. */
const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
