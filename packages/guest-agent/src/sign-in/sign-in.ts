import { AppError, type Scope } from '@anteroom/base'
import type { AgentCaptured, AgentOpen } from '@anteroom/contract'
import type { Browser } from '../browser/browser.ts'
import { seal } from '../capture/seal.ts'
import type { EgressBridge } from '../egress-bridge.ts'
import type { StatusBoard } from '../status-board.ts'
import { Oauth2SignIn } from './oauth2-sign-in.ts'
import type { SignInMethod } from './sign-in-method.ts'
import { WebsiteSignIn } from './website-sign-in.ts'

const captureDeadlineMs = 60_000

export interface SignInParts {
  readonly browser: Browser
  readonly board: StatusBoard
  readonly egress: Pick<EgressBridge, 'throughCuts'>
  /** Of the egress bridge. */
  readonly proxyPort: number
}

/** The one sign-in of this machine's life: open → signed in → captured → wiped. */
export class SignIn {
  readonly #browser: Browser
  readonly #board: StatusBoard
  readonly #egress: Pick<EgressBridge, 'throughCuts'>
  readonly #proxyPort: number
  readonly #scope: Scope
  #opened: AgentOpen | undefined
  #method: SignInMethod | undefined
  #following: Scope | undefined
  #captured: Promise<AgentCaptured> | undefined
  #wiped = false

  constructor({ browser, board, egress, proxyPort }: SignInParts, scope: Scope) {
    this.#browser = browser
    this.#board = board
    this.#egress = egress
    this.#proxyPort = proxyPort
    this.#scope = scope
  }

  /** Returns at once; the status tells the rest. */
  open(request: AgentOpen): void {
    if (this.#wiped) throw new AppError('session_over', { detail: 'this machine was wiped' })
    if (this.#opened?.session_id === request.session_id) return
    if (this.#opened) throw new AppError('forbidden', { detail: 'this machine serves another session' })
    this.#opened = request
    const { provider } = request
    this.#method =
      provider.kind === 'oauth2'
        ? new Oauth2SignIn(provider, this.#browser, this.#egress, this.#proxyPort)
        : new WebsiteSignIn(provider, this.#browser, this.#egress)
    this.#board.change({ phase: 'opening' })
    void this.#follow(this.#method)
  }

  confirm(): void {
    if (this.#isSignedIn()) return
    if (this.#board.current.phase !== 'waiting' || !this.#method)
      throw new AppError('session_not_ready', { detail: 'nobody is signing in: the phase is not waiting' })
    this.#method.confirm()
  }

  /** The same sealed value whenever it is asked again. */
  async capture(): Promise<AgentCaptured> {
    const [opened, method] = [this.#opened, this.#method]
    if (!opened || !method || !this.#isSignedIn())
      throw new AppError('session_not_ready', { detail: 'the person is not signed in: the phase is not signed_in' })
    this.#captured ??= this.#captureOnce(opened, method).catch((error: unknown) => {
      this.#captured = undefined
      throw error
    })
    return await this.#captured
  }

  async wipe(): Promise<void> {
    this.#wiped = true
    this.#following?.cancel()
    await this.#method?.forget()
    this.#method = undefined
    this.#captured = undefined
    await this.#browser.wipe()
    this.#board.change({ phase: 'idle' })
    this.#scope.log.info({}, 'wiped')
  }

  #isSignedIn(): boolean {
    return ['signed_in', 'captured'].includes(this.#board.current.phase)
  }

  async #follow(method: SignInMethod): Promise<void> {
    try {
      await this.#scope.run({ name: 'sign-in' }, async (scope) => {
        this.#following = scope
        await method.untilSignedIn(() => this.#board.change({ phase: 'waiting' }), scope)
      })
      if (this.#wiped) return
      this.#board.change({ phase: 'signed_in' })
      this.#scope.log.info({ session: this.#opened?.session_id }, 'the person is signed in')
    } catch (error) {
      if (this.#wiped || this.#scope.signal.aborted) return
      const { code, detail } = AppError.from(error)
      this.#scope.log.warn({ session: this.#opened?.session_id, error }, 'the sign-in failed')
      this.#board.change({ phase: 'failed', failure: { code, detail: (detail ?? '').slice(0, 2000) } })
    }
  }

  async #captureOnce(opened: AgentOpen, method: SignInMethod): Promise<AgentCaptured> {
    return await this.#scope.run({ name: 'capture', deadlineMs: captureDeadlineMs }, async (scope) => {
      const { value, summary } = await method.capture(scope)
      const payload = {
        session_id: opened.session_id,
        provider: opened.provider.name,
        captured_at: new Date(scope.clock.now()).toISOString(),
        value,
      }
      const sealed = await seal(payload, opened.sealing_key)
      this.#board.change({ phase: 'captured' })
      scope.log.info({ session: opened.session_id, summary }, 'captured')
      return { sealed, summary }
    })
  }
}
