import { expect, test } from 'vitest'
import { type ArchiveEntry, cpioArchive } from './cpio-archive.ts'

/** By the format's description; that the kernel agrees is seen by booting (image.host-test.ts). */
function unpack(archive: Buffer): ArchiveEntry[] {
  const entries: ArchiveEntry[] = []
  for (let offset = 0; offset < archive.length; ) {
    expect(archive.toString('latin1', offset, offset + 6)).toBe('070701')
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', offset + 6 + index * 8, offset + 14 + index * 8), 16)
    const nameEnd = offset + 110 + field(11)
    expect(archive[nameEnd - 1]).toBe(0)
    const start = Math.ceil(nameEnd / 4) * 4
    const content = archive.subarray(start, start + field(6))
    entries.push({ path: archive.toString('latin1', offset + 110, nameEnd - 1), mode: field(1), content })
    offset = Math.ceil((start + field(6)) / 4) * 4
  }
  return entries
}

test('unpacks to the same names, modes and bytes, whatever their length', () => {
  const entries = [
    { path: 'bin', mode: 0o40755, content: Buffer.alloc(0) },
    ...[0, 1, 2, 3, 4, 5].map((length) => ({
      path: 'bin/'.padEnd(4 + length, 'x'),
      mode: 0o100644,
      content: Buffer.from([0, 255, 7, 1, 2].slice(0, length)),
    })),
  ]
  const unpacked = unpack(cpioArchive(entries))
  expect(unpacked.pop()?.path).toBe('TRAILER!!!')
  expect(unpacked).toEqual(entries)
})

test('the same entries give the same bytes', () => {
  const entries = [{ path: 'abc', mode: 0o100644, content: Buffer.from('12345') }]
  expect(cpioArchive(entries)).toEqual(cpioArchive(entries))
})
