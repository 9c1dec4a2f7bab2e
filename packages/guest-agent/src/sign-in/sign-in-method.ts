import type { Scope } from '@anteroom/base'
import type { Capture } from '../capture/website-capture.ts'

/** One kind of provider: how the person signs in there, and what is captured. */
export interface SignInMethod {
  /**
   * Resolves when the person is signed in. Calls `waiting` when it is their turn.
   * @throws AppError with the code that the session fails with
   */
  untilSignedIn(waiting: () => void, scope: Scope): Promise<void>
  /** The person says so. Where that decides nothing: @throws AppError session_not_ready */
  confirm(): void
  capture(scope: Scope): Promise<Capture>
  /** Forgets what it learned. */
  forget(): Promise<void>
}
