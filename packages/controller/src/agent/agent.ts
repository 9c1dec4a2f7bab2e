import type { Duplex } from 'node:stream'
import type { Scope } from '@anteroom/base'
import type { AgentCaptured, AgentClaim, AgentHello, AgentOpen, AgentStatus } from '@anteroom/contract'

/** The controller's half of the guest link to one machine. Stateless: made from an address and a secret at any time. */
export interface AgentLink {
  /** undefined while nothing answers at the address. @throws AppError agent_incompatible */
  hello(scope: Scope): Promise<AgentHello | undefined>
  /** Idempotent for the same machine. @throws AppError agent_unreachable; forbidden when it was claimed by somebody else */
  claim(claim: Pick<AgentClaim, 'machine_id'>, scope: Scope): Promise<void>
  open(open: AgentOpen, scope: Scope): Promise<void>
  /** Long poll, see AgentStatus. */
  status(after: number, waitMs: number, scope: Scope): Promise<AgentStatus>
  signedIn(scope: Scope): Promise<void>
  /** @throws AppError capture_invalid, agent_unreachable */
  capture(scope: Scope): Promise<AgentCaptured>
  wipe(scope: Scope): Promise<void>
  /** Tail of the agent's log, at most 64 KiB; '' when it does not answer. */
  log(scope: Scope): Promise<string>
  /** The raw connection after `101 anteroom-egress`; the guest is the HTTP/2 client on it. */
  egress(scope: Scope): Promise<Duplex>
}

/** What the controller needs to know of a machine to reach it. Derived, never stored: see `machineSecrets`. */
export interface MachineSecrets {
  /** Secret of the agent link. */
  readonly agent: string
  /** VncAuth password, eight characters. */
  readonly rfb: string
}
