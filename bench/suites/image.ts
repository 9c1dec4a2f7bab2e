import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Scope } from '@anteroom/base'
import { imageManifest, snapshotManifest } from '@anteroom/contract'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'

const checkout = resolve(import.meta.dirname, '../..')
const buildMs = 1_800_000

export const imageSuite: Suite = {
  name: 'image',
  title: 'Build of the golden image and its snapshot',
  missing: async () => (process.getuid?.() === 0 ? undefined : 'Building an image needs root.'),
  run,
}

async function run(context: BenchContext, scope: Scope): Promise<Report> {
  const home = join(context.directory, 'home')
  const startedAt = scope.clock.monotonic()
  await scope.run({ name: 'image build', deadlineMs: buildMs }, (inner) => build(home, context.progress, inner))
  const seconds = (scope.clock.monotonic() - startedAt) / 1000
  const image = join(home, 'images/current')
  const snapshot = await onlyIn(join(home, 'snapshots'))
  const made = {
    ...{
      image: await manifestOf(image, imageManifest.parse),
      snapshot: await manifestOf(snapshot, snapshotManifest.parse),
    },
    ...{ rootfs: join(image, 'rootfs'), memory: join(snapshot, 'memory'), state: join(snapshot, 'state') },
  }
  const one = (name: string, unit: string, value: number): Figure => ({ name, unit, values: [value] })
  const size = async (name: string, path: string): Promise<Figure> =>
    one(`size: ${name}`, 'MB', await allocatedMb(path))
  const { boot, restore_test } = made.snapshot
  const boots = { 'agent answers': boot.hello_ms, 'at rest': boot.settled_ms, painted: boot.painted_ms }
  return {
    figures: [
      one('whole build', 's', seconds),
      ...made.image.steps.map((step) => one(`step: ${step.name}`, 's', step.seconds)),
      ...Object.entries(boots).map(([what, ms]) => one(`boot of the template: ${what}`, 's', ms / 1000)),
      one('restore of a copy: loaded', 's', restore_test.loaded_ms / 1000),
      one('restore of a copy: painted', 's', restore_test.painted_ms / 1000),
      await size('root file system', made.rootfs),
      await size('snapshot, memory', made.memory),
      await size('snapshot, processors and devices', made.state),
    ],
    notes: [
      `One build into an empty state directory, packages over the network: ${made.image.packages.length} packages of Debian ${made.image.suite}, Linux ${made.image.kernel_version}.`,
      `Sizes are what is allocated on the disk; the snapshot's memory is a sparse file of ${made.snapshot.key.memory_mib} MiB.`,
      'Boot and restore are counted from the start of the monitor; the copy was claimed before its screen was looked at.',
    ],
  }
}

/** As `npm run image` does it; ended with the scope, and then it ends what it runs. */
async function build(home: string, progress: (text: string) => void, scope: Scope): Promise<void> {
  const program = join(checkout, 'packages/image/src/build.ts')
  const child = spawn(process.execPath, [program, '--home', home, '--progress', 'lines'], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  scope.defer(async () => {
    child.kill('SIGTERM')
    await ended
  })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-2000)
  })
  createInterface({ input: child.stdout }).on('line', progress)
  const [code] = (await scope.race(ended)) as [number | null]
  if (code !== 0) throw new Error(`the build ended with ${code}: ${words}`)
}

const manifestOf = async <T>(directory: string, parse: (value: unknown) => T): Promise<T> =>
  parse(JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')))

async function onlyIn(directory: string): Promise<string> {
  const [name] = (await readdir(directory)).filter((entry) => !entry.startsWith('.'))
  if (name === undefined) throw new Error(`there is nothing in ${directory}`)
  return join(directory, name)
}

/** stat(2): blocks of 512 bytes, whatever the file system's own are. */
const allocatedMb = async (path: string): Promise<number> => ((await stat(path)).blocks * 512) / 1e6
