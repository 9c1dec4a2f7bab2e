import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environment, node, run, runMain, SetUpError } from './process.mjs'
import { setUp } from './set-up.mjs'
import { homeOf, root } from './settings.mjs'
import { runtimePackages, testPackages } from './system-packages.mjs'
import { countTests, secondTries, sum, summaryLine } from './test-report.mjs'

const projects = ['unit', 'host', 'e2e']
/** What takes too long for each time: `npm run test:long`. What needs no machine uses both processors, and comes first. */
const onlyByName = { long: ['soak', 'long'] }
const bin = (name) => join(root, 'node_modules/.bin', name)

/** Node 24 runs everything from here on: the tools are scripts of it. */
const check = (name, args) => async () => {
  const code = await run(bin(name), args)
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

/** Each project in a run of its own: unit tests use both cores, and no test of real machines shares them. */
const project = (name, args, home, directory) => async () => {
  const file = join(directory, `${name}.json`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  // Not ANTEROOM_…: the controllers under test take every such variable for a setting of theirs.
  const env = { ...environment(), TEST_IMAGES: join(home, 'images') }
  delete env.ANTEROOM_HOME
  const code = await run(node, [bin('vitest'), 'run', '--project', name, ...reporters, ...args], { env })
  const report = await readFile(file, 'utf8').catch(() => undefined)
  return { ...countTests(report, code), again: secondTries(report) }
}

async function runParts(parts) {
  const rows = []
  for (const [name, part] of parts) {
    const startedAt = performance.now()
    const counts = await part()
    rows.push({ name, counts, seconds: (performance.now() - startedAt) / 1000 })
  }
  return rows
}

await runMain(async () => {
  const [only, ...args] = process.argv.slice(2)
  const names = [...projects, ...Object.keys(onlyByName)]
  if (only !== undefined && !names.includes(only))
    throw new SetUpError(`There is no part ${only}.\nUsage: npm test [-- ${names.join('|')} [arguments of vitest]]`)
  const home = homeOf()
  const directory = await mkdtemp(join(tmpdir(), 'anteroom-test-'))
  try {
    const startedAt = performance.now()
    await setUp(home, [...runtimePackages, ...testPackages])
    const setUpSeconds = (performance.now() - startedAt) / 1000
    const checks = [
      ['types', check('tsc', ['--noEmit', '-p', 'tsconfig.json'])],
      ['lint', check('biome', ['check', '.'])],
    ]
    const chosen = only === undefined ? projects : (onlyByName[only] ?? [only])
    // A file that is named is in one of them.
    const words = chosen.length > 1 && args.length > 0 ? ['--passWithNoTests', ...args] : args
    const rows = await runParts([
      ...(only === undefined ? checks : []),
      ...chosen.map((name) => [name, project(name, words, home, directory)]),
    ])
    const total = sum(rows.map(({ counts }) => counts))
    console.log(`\nset-up ${setUpSeconds.toFixed(0)} s`)
    for (const { name, counts, seconds } of rows) {
      console.log(`${name} ${seconds.toFixed(0)} s: ${counts.failed} failed`)
      for (const test of counts.again ?? []) console.log(`  passed only at the second try: ${test}`)
    }
    console.log(`\n${summaryLine(total)}`)
    return total.failed === 0 ? 0 : 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
