import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Anteroom, AnteroomError } from '@anteroom/sdk'
import { z } from 'zod'

const whereabouts = z.object({ url: z.url() })

/** As long as the controller may take to find out; whoever sits at the terminal can end it. */
const patienceMs = 120_000

/**
 * The controller that runs on this state directory, asked with the operator's key. Nothing is asked twice: who looks for a fault
 * wants to see it.
 * @throws AnteroomError controller_unreachable when none runs
 */
export async function controllerOf(home: string): Promise<Anteroom> {
  try {
    const { url } = whereabouts.parse(JSON.parse(await readFile(join(home, 'run/controller.json'), 'utf8')))
    const key = (await readFile(join(home, 'operator.key'), 'utf8')).trim()
    return new Anteroom({ url, key, retries: 0, timeoutMs: patienceMs })
  } catch (cause) {
    throw new AnteroomError('controller_unreachable', { detail: `no controller runs on ${home}`, cause })
  }
}

export const isUnreachable = (error: unknown): boolean =>
  error instanceof AnteroomError && error.code === 'controller_unreachable'
