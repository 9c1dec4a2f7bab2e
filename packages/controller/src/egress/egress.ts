import type { Duplex } from 'node:stream'
import type { ProviderDefinition } from '@anteroom/contract'

export type EgressPolicy = ProviderDefinition['egress']

export interface EgressRecord {
  readonly host: string
  readonly port: number
  readonly allowed: boolean
  readonly bytesUp: number
  readonly bytesDown: number
}

/** A machine's only way out: an HTTP proxy (CONNECT and absolute-form requests) spoken on connections from the agent link. */
export interface Egress {
  /** Serves the proxy to one machine over its link until the link closes or `detach`. Idempotent by machine: a new link replaces the old one. */
  attach(machineId: string, policy: EgressPolicy, link: Duplex): void
  isAttached(machineId: string): boolean
  detach(machineId: string): void
  /** Hosts asked for since `attach`, for the session's evidence. */
  records(machineId: string): EgressRecord[]
}
