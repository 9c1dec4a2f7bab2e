import type { StageName } from '@anteroom/contract'

interface StageWords {
  /** While it runs. */
  readonly running: string
  /** When it is done. */
  readonly done: string
}

/** What each stage means to the account owner, in the order in which they happen. */
export const stageWords = {
  queue: { running: 'Waiting for a free place', done: 'A place is free' },
  network: { running: 'Laying a private network line', done: 'Private network line laid' },
  machine: { running: 'Setting up a new computer', done: 'New computer set up' },
  boot: { running: 'Starting a computer that is only yours', done: 'Computer started, only yours' },
  claim: { running: 'Locking it to this sign-in', done: 'Locked to this sign-in' },
  screen: { running: 'Waiting for its screen to light up', done: 'Screen is on' },
  open: { running: 'Opening the sign-in page', done: 'Sign-in page opened' },
  sign_in: { running: 'Waiting for you to sign in', done: 'You signed in' },
  capture: { running: 'Taking only what was announced', done: 'Took only what was announced' },
  store: { running: 'Locking it away, encrypted, in the vault', done: 'Encrypted and locked in the vault' },
  teardown: { running: 'Destroying the computer', done: 'Computer destroyed, nothing left of it' },
} as const satisfies Record<StageName, StageWords>

/** What lies ahead of the person before they see a screen. */
const ahead = ['queue', 'network', 'machine', 'boot', 'claim', 'screen', 'open'] as const satisfies readonly StageName[]

/** Stages not begun yet, for a session that is still being prepared. */
export const stagesAhead = (begun: readonly StageName[]): StageName[] => {
  const furthest = Math.max(-1, ...begun.map((name) => (ahead as readonly StageName[]).indexOf(name)))
  return ahead.slice(furthest + 1)
}
