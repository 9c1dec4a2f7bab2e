import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '@anteroom/base'
import type { Config } from '../config.ts'

export interface LogFilesParts {
  readonly directory: string
  readonly limits: Config['log']
  readonly clock: Clock
}

/** `<day>.<number>.jsonl`: by name is by time. */
const fileName = /^(\d{4}-\d\d-\d\d)\.(\d{4})\.jsonl$/
const MiB = 1024 * 1024
const dayMs = 86_400_000
/** A day is in one file, or in several of this share of the limit: old lines go in portions of it. */
const partsOfLimit = 8

/** Of a state directory; builds write theirs beside it. */
export const logDirectory = (home: string): string => join(home, 'logs', 'controller')

/** Of the kept log, the oldest first. Empty where nothing was kept. */
export const logFileNames = (directory: string): string[] => {
  try {
    return readdirSync(directory)
      .filter((name) => fileName.test(name))
      .toSorted()
  } catch {
    return []
  }
}

/** What is too old, and the oldest while there is too much, with room for the file that is being written. */
export function overdueLogFiles({ directory, limits, clock }: LogFilesParts): string[] {
  let total = (limits.max_total_mib * MiB) / partsOfLimit
  return logFileNames(directory)
    .toReversed()
    .slice(1)
    .map((name) => join(directory, name))
    .filter((path) => {
      const { size, mtimeMs } = statSync(path)
      total += size
      return clock.now() - mtimeMs > limits.max_age_days * dayMs || total > limits.max_total_mib * MiB
    })
}

interface OpenFile {
  readonly descriptor: number
  readonly day: string
  bytes: number
}

/**
 * The lines that `anteroom logs` reads. Each is written before `write` returns, in this thread: the last lines before a crash are the
 * ones that matter. What cannot be written is counted and said later: no disk that is full ends the process, and none is filled by it.
 */
export function openLogFiles({ directory, limits, clock }: LogFilesParts): { write(line: string): void } {
  const partBytes = (limits.max_total_mib * MiB) / partsOfLimit
  let current: OpenFile | undefined
  let lost = 0

  function fileFor(bytes: number): OpenFile {
    const today = new Date(clock.now()).toISOString().slice(0, 10)
    if (current && current.bytes + bytes <= partBytes && current.day >= today) return current
    close()
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const [, newestDay = '', newestNumber = '0'] = fileName.exec(logFileNames(directory).at(-1) ?? '') ?? []
    // A clock that was set back does not bring the files out of order.
    const [day = today] = [newestDay, today].toSorted().reverse()
    const number = newestDay === day ? Number(newestNumber) : 1
    current = open(day, number)
    if (current.bytes + bytes > partBytes && current.bytes > 0) {
      close()
      current = open(day, number + 1)
    }
    for (const path of overdueLogFiles({ directory, limits, clock })) rmSync(path)
    return current
  }

  function open(day: string, number: number): OpenFile {
    const name = `${day}.${String(number).padStart(4, '0')}.jsonl`
    const descriptor = openSync(join(directory, name), 'a', 0o600)
    const { size } = fstatSync(descriptor)
    const file = { descriptor, day, bytes: size }
    // Whoever wrote it last may have been stopped in the middle of a line.
    if (size > 0) file.bytes += writeSync(descriptor, '\n')
    return file
  }

  function close(): void {
    if (current) closeSync(current.descriptor)
    current = undefined
  }

  function append(line: string): void {
    const bytes = Buffer.byteLength(line)
    const file = fileFor(bytes)
    const written = writeSync(file.descriptor, line)
    file.bytes += written
    if (written < bytes) throw new Error('the disk is full')
  }

  return {
    write(line) {
      try {
        if (lost > 0) append(lostLine(lost, clock))
        lost = 0
        append(line)
      } catch {
        lost++
        // Opened anew for the next line: the directory may have been given back meanwhile.
        try {
          close()
        } catch {
          current = undefined
        }
      }
    },
  }
}

const lostLine = (lines: number, clock: Clock): string =>
  `${JSON.stringify({ level: 'error', time: new Date(clock.now()).toISOString(), lines, msg: 'lines were lost: the log could not be written' })}\n`
