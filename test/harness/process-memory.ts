import { open, readdir, readFile } from 'node:fs/promises'

export interface Needle {
  /** What it is, for the report: never the secret itself. */
  readonly name: string
  readonly bytes: Buffer
}

const chunkBytes = 4 * 1024 * 1024

/** Which needles are in memory that the process can read, each as often as it was found and where. */
export async function findInMemory(pid: number, needles: readonly Needle[]): Promise<string[]> {
  const longest = Math.max(...needles.map(({ bytes }) => bytes.length))
  await using memory = await open(`/proc/${pid}/mem`, 'r')
  const buffer = Buffer.alloc(chunkBytes)
  const hits: string[] = []
  for (const region of await readableRegions(pid)) {
    // Overlapping by the longest of them, so that none is cut in two.
    for (let at = region.from; at < region.to; at += chunkBytes - longest) {
      const wanted = Math.min(chunkBytes, region.to - at)
      // A region may go between its line in `maps` and here.
      const { bytesRead } = await memory.read(buffer, 0, wanted, at).catch(() => ({ bytesRead: 0 }))
      for (const { name, bytes } of needles)
        for (
          let found = buffer.indexOf(bytes);
          found >= 0 && found < bytesRead;
          found = buffer.indexOf(bytes, found + 1)
        )
          hits.push(`${name} in the memory of ${pid} (${region.name}, ${(at + found).toString(16)})`)
      buffer.fill(0)
    }
  }
  return [...new Set(hits)]
}

/** Its environment as the kernel shows it. */
export const environmentOf = (pid: number): Promise<Buffer> => readFile(`/proc/${pid}/environ`)

/** A process and all that it has started, and what those have. */
export async function familyOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map<number, number>()
  for (const each of pids) {
    const status = await readFile(`/proc/${each}/status`, 'utf8').catch(() => '')
    const parent = /^PPid:\s+(\d+)$/m.exec(status)?.[1]
    if (parent !== undefined) parents.set(each, Number(parent))
  }
  const family = [pid]
  for (const member of family) for (const [child, parent] of parents) if (parent === member) family.push(child)
  return family
}

async function readableRegions(pid: number): Promise<{ from: number; to: number; name: string }[]> {
  return (await readFile(`/proc/${pid}/maps`, 'utf8')).split('\n').flatMap((line) => {
    const [, from, to, name = ''] = /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)$/.exec(line) ?? []
    // What the kernel keeps there is not the process's, and cannot be read.
    if (from === undefined || to === undefined || /^\[v(var|syscall)/.test(name)) return []
    return [{ from: Number.parseInt(from, 16), to: Number.parseInt(to, 16), name: name || 'anonymous' }]
  })
}

/** Every way in which text may lie in a JavaScript engine or in a buffer. */
export const needlesOf = (name: string, text: string): Needle[] => [
  { name, bytes: Buffer.from(text, 'utf8') },
  { name: `${name} (UTF-16)`, bytes: Buffer.from(text, 'utf16le') },
  { name: `${name} (base64)`, bytes: Buffer.from(Buffer.from(text).toString('base64').slice(0, -4)) },
]

/**
 * A password as the key presses of RFB 3.8 (section 7.5.4), each letter down and up in messages of eight bytes: four letters in a row
 * are enough to call it found.
 */
export function needlesOfTyping(name: string, text: string): Needle[] {
  const press = (isDown: boolean, letter: string): Buffer => {
    const message = Buffer.alloc(8)
    message[0] = 4
    message[1] = isDown ? 1 : 0
    message.writeUInt32BE(letter.codePointAt(0) ?? 0, 4)
    return message
  }
  return Array.from({ length: Math.floor(text.length / 4) }, (_, part) => {
    const letters = [...text.slice(4 * part, 4 * part + 4)]
    return {
      name: `${name} (part ${part + 1} as it was typed)`,
      bytes: Buffer.concat(letters.flatMap((letter) => [press(true, letter), press(false, letter)])),
    }
  })
}
