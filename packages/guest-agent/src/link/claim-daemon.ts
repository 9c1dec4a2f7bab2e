import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { AppError, type Scope } from '@anteroom/base'

export interface ClaimDaemonConfig {
  /** `claimd` of the image. */
  readonly program: string
  readonly host: string
  readonly port: number
  /** Must be there. */
  readonly passwordFile: string
  /** May it renew clock, random state and names? Only in a machine of our own. */
  readonly renewsMachine: boolean
}

export interface MadeClaim {
  readonly machineId: string
  readonly secretDigest: Buffer
}

/**
 * The program that takes the claim. Never started again: one that knows of no claim would take another, so without it the machine
 * answers nobody, which ends its session.
 */
export class ClaimDaemon {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly port: number

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, port: number) {
    this.#child = child
    this.port = port
  }

  /** Resolves when it listens. @throws AppError internal when it ends instead */
  static async start(
    config: ClaimDaemonConfig,
    onClaim: (made: MadeClaim) => void,
    scope: Scope,
  ): Promise<ClaimDaemon> {
    const { program, host, port, passwordFile, renewsMachine } = config
    const args = [host, String(port), passwordFile, ...(renewsMachine ? ['renew'] : [])]
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const listening = new Promise<number>((resolve, reject) => {
      const ended = (reason: unknown): void => {
        scope.log.warn({ program, reason }, 'a program ended')
        reject(new AppError('internal', { detail: `${program} ended: ${reason}` }))
      }
      child.on('error', ended)
      child.on('exit', (code, signal) => ended(signal ?? `exit status ${code}`))
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [what, ...words] = line.split(' ')
        if (what === 'listening') return resolve(Number(words[0]))
        const [machineId = '', digest = ''] = words
        onClaim({ machineId, secretDigest: Buffer.from(digest, 'hex') })
      })
    })
    return new ClaimDaemon(child, await scope.race(listening))
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}
