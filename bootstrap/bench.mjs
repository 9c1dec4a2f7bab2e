import { parseArgs } from 'node:util'
import { node, run, runMain } from './process.mjs'
import { ensureTools, setUp } from './set-up.mjs'
import { homeOf } from './settings.mjs'
import { benchPackages, runtimePackages } from './system-packages.mjs'

/** The rest is judged by `bench/main.ts`, which knows the suites. */
const readHome = (args) =>
  parseArgs({ args, options: { home: { type: 'string' } }, allowPositionals: true, strict: false }).values.home

await runMain(async () => {
  const args = process.argv.slice(2)
  const flag = readHome(args)
  const home = homeOf(typeof flag === 'string' ? flag : undefined)
  const packages = [...runtimePackages, ...benchPackages]
  await ensureTools(home, packages)
  // Wrong arguments are better told before an image is built.
  const code = await run(node, ['bench/main.ts', ...args, '--list'])
  if (code !== 0 || args.includes('--list')) return code
  await setUp(home, packages)
  return await run(node, ['bench/main.ts', ...args, '--home', home])
})
