import { type Scope, systemErrorCode } from '@anteroom/base'
import type { MachineState } from '@anteroom/contract'
import { openQmp, type QmpClient, type RunState, vmmFiles } from '@anteroom/vmm'

/** A monitor answers in milliseconds; one whose main loop hangs for seconds cannot tell its state. */
const answerMs = 2_000

const stateOf = {
  prelaunch: 'booting',
  inmigrate: 'booting',
  running: 'running',
  paused: 'paused',
  postmigrate: 'paused',
  shutdown: 'unknown',
  'internal-error': 'unknown',
  'io-error': 'unknown',
  'guest-panicked': 'unknown',
} as const satisfies Record<RunState, MachineState>

/** What the monitor in this directory says of its guest; `booting` while nothing listens there. */
export async function stateByMonitor(directory: string, scope: Scope): Promise<MachineState> {
  try {
    const { status } = await ask(directory, scope, (qmp) => qmp.execute('query-status'))
    return stateOf[status] ?? 'unknown'
  } catch (error) {
    scope.throwIfOver()
    return ['ENOENT', 'ECONNREFUSED'].includes(systemErrorCode(error) ?? '') ? 'booting' : 'unknown'
  }
}

export async function continueGuest(directory: string, scope: Scope): Promise<void> {
  await ask(directory, scope, (qmp) => qmp.execute('cont'))
}

const ask = <T>(directory: string, scope: Scope, question: (qmp: QmpClient) => Promise<T>): Promise<T> =>
  scope.run({ name: 'question to the monitor', deadlineMs: answerMs }, async (inner) => {
    const qmp = await openQmp(vmmFiles(directory).qmp, inner)
    inner.defer(() => qmp.close())
    return await question(qmp)
  })
