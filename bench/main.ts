/**
 * `node bench/main.ts [suite …] [--quick] [--home DIR] [--list]`: measures, prints, and writes `results/<suite>.json` and `.svg`.
 * Exit code 1 when a suite could not be measured, 2 for wrong arguments; a figure that misses its target is a result.
 */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { AppError, Scope } from '@anteroom/base'
import { createLog } from '../packages/controller/src/observe/observe.ts'
import { type Arguments, readArguments, UsageError } from './arguments.ts'
import { describeHost, describeRevision, type Host, type Revision } from './host-description.ts'
import type { BenchContext, Suite } from './report.ts'
import { type Run, resultsOf, writeRun } from './results.ts'
import { suites } from './suites.ts'
import { formatTable } from './table.ts'

const checkout = resolve(import.meta.dirname, '..')
const say = (text: string): void => void process.stdout.write(`${text}\n`)

interface Setting {
  readonly args: Arguments
  readonly host: Host
  readonly revision: Revision
}

type Verdict = 'measured' | 'skipped' | 'failed'

async function main(): Promise<number> {
  const names = suites.map(({ name }) => name)
  const args = readArguments(process.argv.slice(2), names, process.env)
  const chosen = suites.filter(({ name }) => args.suites.includes(name))
  if (args.list) {
    const width = Math.max(0, ...chosen.map(({ name }) => name.length))
    for (const { name, title } of chosen) say(`${name.padEnd(width)}  ${title}`)
    return 0
  }
  const scope = Scope.root('bench', createLog({ level: 'warn', pretty: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => scope.cancel(new AppError('shutting_down', { detail: signal })))
  const setting = {
    args,
    host: await describeHost(args.home, scope),
    revision: await describeRevision(checkout, scope),
  }
  sayWhere(setting)
  const verdicts: Verdict[] = []
  for (const suite of chosen) {
    if (scope.signal.aborted) return 1
    verdicts.push(await inDirectory(suite, setting, (context) => attempt(suite, setting, context, scope)))
  }
  const count = (wanted: Verdict): number => verdicts.filter((verdict) => verdict === wanted).length
  say(`\n${count('measured')} measured, ${count('skipped')} skipped, ${count('failed')} failed`)
  return count('failed') === 0 ? 0 : 1
}

function sayWhere({ host, revision }: Setting): void {
  const machines = `${host.qemu ?? 'no QEMU'}, ${host.accelerator ?? 'accelerator not measured'}`
  say(`${host.cpu}, ${host.cores} cores, ${host.memory_mib} MiB · ${host.distribution}, ${host.kernel}`)
  say(`${machines} · Node ${host.node} · ${revision.commit ?? 'no commit'}${revision.dirty ? ', changed since' : ''}`)
}

/** On the disk that the state directory is on, not in a /tmp that may be memory. */
async function inDirectory(
  suite: Suite,
  { args }: Setting,
  work: (context: BenchContext) => Promise<Verdict>,
): Promise<Verdict> {
  const parent = join(args.home, 'bench')
  await mkdir(parent, { recursive: true, mode: 0o700 })
  const directory = await mkdtemp(join(parent, `${suite.name}-`))
  const progress = (text: string): void => say(`  ${text}`)
  try {
    return await work({ directory, home: args.home, quick: args.quick, progress })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function attempt(suite: Suite, setting: Setting, context: BenchContext, scope: Scope): Promise<Verdict> {
  say(`\n${suite.name}: ${suite.title}`)
  try {
    const missing = await suite.missing?.(context, scope)
    if (missing !== undefined) {
      say(`  skipped: ${missing}`)
      return 'skipped'
    }
    const run = await measure(suite, setting, context, scope)
    say(`\n${formatTable(run.results)}`)
    for (const note of run.notes) say(`- ${note}`)
    const files = await writeRun(join(checkout, 'bench/results'), run)
    say(files.map((file) => relative(process.cwd(), file)).join(', '))
    return 'measured'
  } catch (error) {
    const stack = error instanceof Error ? error.stack : String(error)
    say(scope.signal.aborted ? '  interrupted; its earlier results stay' : `  failed: ${stack}`)
    if (!scope.signal.aborted) await sayLastWords(join(context.directory, 'logs'))
    return 'failed'
  }
}

/** Of the processes that took part: their logs go with the directory. */
async function sayLastWords(logs: string): Promise<void> {
  for (const name of await readdir(logs).catch(() => [])) {
    const lines = (await readFile(join(logs, name), 'utf8')).trimEnd().split('\n')
    say(`  the end of ${name}:\n${lines.slice(-20).join('\n')}`)
  }
}

async function measure(
  suite: Suite,
  { args, host, revision }: Setting,
  context: BenchContext,
  scope: Scope,
): Promise<Run> {
  const startedAt = performance.now()
  const before = { started_at: new Date().toISOString(), load_before: loadavg() }
  const report = await scope.run({ name: suite.name }, (inner) => suite.run(context, inner))
  return {
    suite: suite.name,
    title: suite.title,
    quick: args.quick,
    started_at: before.started_at,
    duration_seconds: Math.round((performance.now() - startedAt) / 1000),
    host,
    revision,
    load_before: before.load_before,
    load_after: loadavg(),
    results: resultsOf(report),
    notes: report.notes,
  }
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof UsageError ? error.message : String(error)}\n`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
