import { Duplex } from 'node:stream'
import { AppError, type Scope } from '@anteroom/base'
import {
  type AgentCaptured,
  type AgentOpen,
  type AgentStatus,
  agentProtocol,
  type CredentialValue,
  type SealedPayload,
} from '@anteroom/contract'
import { CompactEncrypt, importJWK } from 'jose'
import type { AgentLink } from '../src/agent/agent.ts'
import { sampleSummary, sampleTokens } from './sample-credential.ts'

/** The guest as the controller sees it over the link: behaves as agent-link.ts says, with a person who signs in when told to. */
export class FakeGuest implements AgentLink {
  isAnswering = true
  display: AgentStatus['display'] = 'up'
  browser: AgentStatus['browser'] = 'up'
  claimedBy: string | undefined
  opened: AgentOpen | undefined
  isWiped = false
  /** What the person hands over. */
  value: CredentialValue = sampleTokens
  /** What it was asked before it went, answered or not. */
  readonly lastAsked: ('log' | 'wipe')[] = []
  #phase: AgentStatus['phase'] = 'idle'
  #failure: AgentStatus['failure'] = null
  #version = 1
  #changed = Promise.withResolvers<void>()
  readonly #isOpen = Promise.withResolvers<void>()

  /** A person signs in on a page that they see. */
  async personSignsIn(): Promise<void> {
    await this.#isOpen.promise
    this.#set('signed_in')
  }

  async signInFails(code: 'consent_denied' | 'issuer_unreachable'): Promise<void> {
    await this.#isOpen.promise
    this.#failure = { code, detail: 'said the provider' }
    this.#set('failed')
  }

  async hello() {
    if (!this.isAnswering) return undefined
    const { display, browser } = this
    return {
      agent: 'anteroom',
      protocol: agentProtocol,
      version: '0',
      claimed: this.claimedBy !== undefined,
      display,
      browser,
    } as const
  }

  async claim({ machine_id }: { readonly machine_id: string }): Promise<void> {
    this.#answer()
    if (this.claimedBy !== undefined && this.claimedBy !== machine_id) throw new AppError('forbidden')
    this.claimedBy = machine_id
  }

  async open(open: AgentOpen): Promise<void> {
    this.#answer()
    if (this.opened?.session_id === open.session_id) return
    this.opened = open
    this.#set('waiting')
    this.#isOpen.resolve()
  }

  async status(after: number, waitMs: number, scope: Scope): Promise<AgentStatus> {
    this.#answer()
    // Rejects when the caller gives up, as a request does: who waits in a loop would go on for ever otherwise.
    if (this.#version <= after)
      await scope.race(Promise.race([this.#changed.promise, scope.clock.delay(Math.min(waitMs, 10), scope.signal)]))
    return {
      version: this.#version,
      phase: this.#phase,
      display: this.display,
      browser: this.browser,
      failure: this.#failure,
    }
  }

  async signedIn(): Promise<void> {
    this.#answer()
    this.#set('signed_in')
  }

  async capture(): Promise<AgentCaptured> {
    this.#answer()
    if (!this.opened) throw new AppError('session_not_ready')
    const { session_id, provider, sealing_key } = this.opened
    const payload: SealedPayload = {
      session_id,
      provider: provider.name,
      captured_at: new Date().toISOString(),
      value: this.value,
    }
    const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: sealing_key.kid })
      .encrypt(await importJWK({ ...sealing_key }, 'ECDH-ES'))
    return { sealed, summary: sampleSummary }
  }

  async wipe(): Promise<void> {
    this.lastAsked.push('wipe')
    this.#answer()
    this.isWiped = true
  }

  async log(): Promise<string> {
    this.lastAsked.push('log')
    return this.isAnswering ? 'agent: hello\n' : ''
  }

  egress = async (): Promise<Duplex> => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })

  #answer(): void {
    if (!this.isAnswering) throw new AppError('agent_unreachable')
  }

  #set(phase: AgentStatus['phase']): void {
    this.#phase = phase
    this.#version++
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
