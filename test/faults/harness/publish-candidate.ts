import { mkdtemp, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publishIfItWorks } from '../../../packages/image/src/build-image.ts'
import { openBuildLog } from '../../../packages/image/src/build-log.ts'
import type { GoldenCopy } from '../../harness/golden-copy.ts'
import { scope } from './breakable-host.ts'

/** What the builder does with an image that was made without a fault, but for what these commands of debugfs did to it. */
export async function publishCandidate(golden: GoldenCopy, commands: readonly string[]) {
  const home = join(golden.images, '..')
  const directory = await golden.candidate(scope, commands)
  await using log = await openBuildLog(join(home, 'logs', 'image-build.log'))
  try {
    const like = await golden.manifest()
    return await publishIfItWorks({ home, directory, log, begin: () => {} }, scope, () => like)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * Makes an image current whose browser takes certificates of this authority as well (base64 of DER); gives what undoes it.
 * Policy: CACertificates of Chromium, since version 131.
 */
export async function publishTrusting(golden: GoldenCopy, authority: string): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'anteroom-policy-'))
  try {
    const policy = join(directory, 'policy.json')
    await writeFile(policy, JSON.stringify({ CACertificates: [authority] }), { mode: 0o644 })
    const before = await readlink(join(golden.images, 'current'))
    await publishCandidate(golden, [`write ${policy} /etc/chromium/policies/managed/authority.json`])
    return () => golden.makeCurrent(before)
  } finally {
    await rm(directory, { recursive: true })
  }
}
