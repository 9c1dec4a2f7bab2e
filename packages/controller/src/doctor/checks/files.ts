import { chmod, lstat, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { acquireLock, type Clock } from '@anteroom/base'
import type { Verdict } from '@anteroom/contract'
import { type Check, ok } from '../check.ts'

interface Trouble {
  readonly what: string
  readonly verdict: Exclude<Verdict, 'ok'>
  /** Gives what was done. */
  readonly repair: () => Promise<string>
}

/** Does the state directory belong to its user alone, and is nothing in it of work that was interrupted? */
export const files: Check = {
  name: 'files',
  async examine({ config: { home }, clock }) {
    const troubles = [...(await openToOthers(home)), ...(await drafts(home, clock)), ...(await abandonedBuilds(home))]
    if (troubles.length === 0) return ok(`${home} is its user’s alone, and nothing in it is of interrupted work`)
    return {
      verdict: troubles.some(({ verdict }) => verdict === 'failed') ? 'failed' : 'warning',
      found: troubles.map(({ what }) => what).join('; '),
      remedy:
        '`npm run anteroom -- doctor --fix` puts it right. Find out who may have read a key, and make new ones if in doubt.',
      async fix() {
        const done: string[] = []
        for (const { repair } of troubles) done.push(await repair())
        return done.join('; ')
      },
    }
  },
}

/** What is for its owner alone: directories 0700, files 0600. */
async function openToOthers(home: string): Promise<Trouble[]> {
  const wanted = [
    ...(['.', 'evidence', 'run', 'logs/controller'] as const).map((name) => ({ name, mode: 0o700 })),
    ...(['operator.key', 'vault.key'] as const).map((name) => ({ name, mode: 0o600 })),
  ]
  const found = await Promise.all(
    wanted.map(async ({ name, mode }) => {
      const path = join(home, name)
      const now = await stat(path).then(
        ({ mode }) => mode & 0o777,
        () => mode,
      )
      if ((now & 0o077) === 0) return []
      const trouble: Trouble = {
        what: `others may read ${path} (mode ${now.toString(8)})`,
        verdict: mode === 0o600 ? 'failed' : 'warning',
        async repair() {
          await chmod(path, mode)
          return `${path} is its owner’s alone again`
        },
      }
      return [trouble]
    }),
  )
  return found.flat()
}

/** Whoever writes one renames it within seconds. */
const draftMs = 600_000

/** Files are written under another name and renamed when they are whole; evidence, too. */
async function drafts(home: string, clock: Clock): Promise<Trouble[]> {
  const places = [
    ...['.', 'run', 'cache'].map((name) => ({ directory: join(home, name), isDraft: /\.new$/ })),
    { directory: join(home, 'evidence'), isDraft: /^\.(ses|vm)_[a-z2-7]{24}$/ },
  ]
  const troubles: Trouble[] = []
  for (const { directory, isDraft } of places)
    for (const name of (await namesIn(directory)).filter((name) => isDraft.test(name))) {
      const path = join(directory, name)
      const writtenAt = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => clock.now(),
      )
      if (clock.now() - writtenAt > draftMs) troubles.push(leftBehind(path, 'was never finished'))
    }
  return troubles
}

/** Of images and snapshots: whose lock is free and that no process names any more. */
async function abandonedBuilds(home: string): Promise<Trouble[]> {
  const troubles: Trouble[] = []
  for (const kind of ['images', 'snapshots']) {
    const directory = join(home, kind)
    const names = (await namesIn(directory)).filter((name) => /^\.(build|current)-\d+$/.test(name))
    // Of another state directory, whose builds are not known here.
    if (names.length === 0 || (await lstat(directory)).isSymbolicLink()) continue
    const lock = acquireLock(join(directory, '.lock'))
    if (!('release' in lock)) continue
    lock.release()
    for (const path of names.map((name) => join(directory, name)))
      if (!(await isInUse(path))) troubles.push(leftBehind(path, 'is of a build that was interrupted'))
  }
  return troubles
}

const leftBehind = (path: string, why: string): Trouble => ({
  what: `${path} ${why}`,
  verdict: 'warning',
  async repair() {
    await rm(path, { recursive: true, force: true })
    return `removed ${path}`
  },
})

/** A program that a build has started may go on without it. */
async function isInUse(path: string): Promise<boolean> {
  const pids = (await namesIn('/proc')).filter((name) => /^\d+$/.test(name))
  const uses = await Promise.all(
    pids.map(async (pid) => {
      const said = ['cwd', 'root'].map((link) => readlink(`/proc/${pid}/${link}`).catch(() => ''))
      const [commandLine, ...places] = await Promise.all([
        readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
        ...said,
      ])
      return commandLine.includes(path) || places.some((place) => place.startsWith(path))
    }),
  )
  return uses.includes(true)
}

const namesIn = (directory: string): Promise<string[]> => readdir(directory).catch(() => [])
