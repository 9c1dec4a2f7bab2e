import { parseArgs } from 'node:util'
import { runMain, SetUpError } from './process.mjs'
import { ensureImage, ensureTools } from './set-up.mjs'
import { homeOf } from './settings.mjs'
import { runtimePackages } from './system-packages.mjs'

const usage = 'npm run image -- [--home DIR]'

function readFlags() {
  try {
    return parseArgs({ options: { home: { type: 'string' } } }).values
  } catch (error) {
    throw new SetUpError(`${error.message}\nUsage: ${usage}`)
  }
}

// A new image even where one is there: it brings the distribution's security updates. Machines keep the image they run on.
await runMain(async () => {
  const home = homeOf(readFlags().home)
  await ensureTools(home, runtimePackages)
  await ensureImage(home, ['--force'])
  return 0
})
