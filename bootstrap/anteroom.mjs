import { ensureDependencies } from './dependencies.mjs'
import { node, run, runMain } from './process.mjs'
import { homeOf } from './settings.mjs'

await runMain(async () => {
  await ensureDependencies()
  // The last one counts, so that a --home of the caller's does.
  return await run(node, [
    'packages/cli/src/main.ts',
    ...process.argv.slice(2, 3),
    '--home',
    homeOf(),
    ...process.argv.slice(3),
  ])
})
