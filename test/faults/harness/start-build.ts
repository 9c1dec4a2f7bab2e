import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { GoldenCopy } from '../../harness/golden-copy.ts'
import { root } from '../../harness/places.ts'

/** The builder as `npm run image` starts it, on the copy; what it says, line by line. */
export function startBuild(golden: GoldenCopy) {
  const child = spawn(
    process.execPath,
    ['packages/image/src/build.ts', '--home', join(golden.images, '..'), '--force'],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  )
  const said: string[] = []
  for (const output of [child.stdout, child.stderr])
    createInterface({ input: output }).on('line', (line) => said.push(line))
  const kill = async (): Promise<void> => {
    if (child.exitCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  const untilSaid = async (words: RegExp): Promise<string> => {
    for (;;) {
      const line = said.find((one) => words.test(one))
      if (line !== undefined) return line
      await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), once(child, 'close')])
    }
  }
  return { child, said, kill, untilSaid }
}
