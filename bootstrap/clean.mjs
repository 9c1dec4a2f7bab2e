import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureDependencies } from './dependencies.mjs'
import { node, run, runMain, SetUpError, say } from './process.mjs'
import { readRecord } from './set-up.mjs'
import { homeOf, root } from './settings.mjs'
import { removePackages } from './system-packages.mjs'

const usage = 'npm run clean -- [--home DIR] [--packages]'

function readFlags() {
  try {
    return parseArgs({ options: { home: { type: 'string' }, packages: { type: 'boolean' } } }).values
  } catch (error) {
    throw new SetUpError(`${error.message}\nUsage: ${usage}`)
  }
}

/** Ends the controller and its machines, then removes the directory. */
async function removeHome(home) {
  await ensureDependencies()
  if ((await run(node, ['packages/controller/src/clean.ts', '--home', home])) !== 0)
    throw new SetUpError(`Something of ${home} still runs; see above. Nothing was removed.`)
  say(`Removing ${home}`)
  await rm(home, { recursive: true, force: true })
}

async function removeBuilt() {
  say('Removing what was built and installed in the checkout')
  const packages = await readdir(join(root, 'packages'))
  const built = [
    'test-results',
    ...packages.flatMap((name) => [`packages/${name}/dist`, `packages/${name}/node_modules`]),
  ]
  // Last, because the tools above are in it.
  for (const path of [...built, 'node_modules']) await rm(join(root, path), { recursive: true, force: true })
}

await runMain(async () => {
  const flags = readFlags()
  const home = homeOf(flags.home)
  const record = await readRecord(home)
  if (!record && existsSync(home))
    throw new SetUpError(`${home} was not made by npm start or npm test (it has no set-up.json); it stays.`)
  if (record) await removeHome(home)
  await removeBuilt()
  const packages = record?.packages ?? []
  if (packages.length === 0) return 0
  if (flags.packages) await removePackages(packages)
  else
    say(
      `These system packages were installed for Anteroom and stay (to remove them: apt-get purge):\n${packages.join(' ')}`,
    )
  return 0
})
