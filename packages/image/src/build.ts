/**
 * `node packages/image/src/build.ts --home DIR [--progress bar|lines|json] [--force]`
 *
 * ANTEROOM_DEBIAN_MIRROR: where Debian comes from instead of its own mirrors, as mmdebstrap takes it: one address, or several
 * lines of a sources.list (security updates are a line of their own).
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError, Scope } from '@anteroom/base'
import { errorDefinitions } from '@anteroom/contract'
import { type BuildProgress, buildImage } from './image.ts'

const progressKinds = ['bar', 'lines', 'json'] as const
type ProgressKind = (typeof progressKinds)[number]

const reporters: Record<ProgressKind, () => (progress: BuildProgress) => void> = {
  json: () => (progress) => void process.stdout.write(`${JSON.stringify(progress)}\n`),
  lines: () => {
    let last = 0
    return ({ number, steps, step, seconds_left }) => {
      if (number === last) return
      last = number
      process.stdout.write(`[${number}/${steps}] ${step}, about ${seconds_left} s left\n`)
    }
  },
  bar:
    () =>
    ({ fraction, step, seconds_left }) => {
      const width = 24
      const filled = Math.round(fraction * width)
      const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
      // Carriage return and "erase to the end of the line": one line that is written again and again.
      process.stdout.write(`\r${bar} ${Math.round(fraction * 100)} % · ${step} · about ${seconds_left} s left\x1b[K`)
    },
}

let endedBy: NodeJS.Signals | undefined

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { home: { type: 'string' }, progress: { type: 'string' }, force: { type: 'boolean', default: false } },
  })
  const kind = progressKinds.find((name) => name === (values.progress ?? (process.stdout.isTTY ? 'bar' : 'lines')))
  if (!values.home || !kind) {
    throw new Error(`usage: build.ts --home DIR [--progress ${progressKinds.join('|')}] [--force]`)
  }
  const scope = Scope.root('image build')
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      endedBy = signal
      scope.cancel()
    })
  }
  const mirrors = (process.env.ANTEROOM_DEBIAN_MIRROR ?? '').split('\n').filter((line) => line.trim() !== '')
  const { home, force } = values
  const image = await buildImage({ home: resolve(home), force, mirrors, onProgress: reporters[kind]() }, scope)
  if (kind === 'bar') process.stdout.write('\r\x1b[K')
  const done =
    kind === 'json' ? JSON.stringify({ image: image.id, directory: image.directory }) : `Golden image ${image.id}`
  process.stdout.write(`${done}\n`)
}

try {
  await main()
} catch (error) {
  if (endedBy) {
    process.stderr.write(`\nThe build was ended by ${endedBy}; the current image is as it was.\n`)
  } else if (error instanceof AppError) {
    process.stderr.write(`\n${error.code}: ${error.message}\n${errorDefinitions[error.code].hint}\n`)
  } else {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  }
  process.exitCode = 1
}
