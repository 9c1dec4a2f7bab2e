import type {
  AuditAction,
  AuditActor,
  AuditDetails,
  AuditEntry,
  AuditTarget,
  CaptureSummary,
  EgressResult,
  ErrorCode,
  Failure,
  KeyScope,
  MachineOrigin,
  Outcome,
  SessionStatus,
  StageName,
} from '@anteroom/contract'
import type { Generated, Insertable, Selectable } from 'kysely'

/** Times are integer milliseconds since 1970; JSON is text, parsed and printed by the module that owns the table. */
type Json<_T> = string

/** The limits that end a session, by their error codes. */
export type LimitCode = Extract<ErrorCode, 'session_expired' | 'session_idle' | 'session_never_opened'>

export interface SessionsTable {
  id: string
  project_id: string
  /** Grows with every change of state; every update names the version that it read. */
  version: number
  status: SessionStatus
  outcome: Outcome | null
  provider: string
  /** The definition as it was when the session was created. */
  provider_definition: Json<unknown>
  subject: string
  /** Who asked for it: the id of an API key, or `operator`; null: it is from before this was written down. */
  principal: string | null
  connection_id: string | null
  return_url: string | null
  /** What someone asked for, and the reconciler acts on: ends the session with this outcome. */
  end_requested: Outcome | null
  /** The person said that they are signed in. */
  capture_requested: number
  browser_vm_id: string | null
  vm_ip: string | null
  vnc_url: string | null
  image_id: string | null
  machine_origin: MachineOrigin | null
  failure: Json<Failure> | null
  captured: Json<CaptureSummary> | null
  /** SHA-256 of the entry secret, hexadecimal. */
  entry_hash: string
  entered_at: number | null
  /** The account owner was told what it is about, and went on. */
  agreed_at: number | null
  attempt: number
  /** The reconciler leaves the row alone until then. */
  not_before: number
  created_at: number
  /** The hard limit. */
  expires_at: number
  /** No extension goes beyond; null: the row was made before there were any. */
  may_extend_until: number | null
  /** In force while the session is ready and nobody has opened its view. */
  first_connect_expires_at: number | null
  /** In force from then until the person is done. */
  idle_expires_at: number | null
  /** Which limit it was, when `end_requested` is `expired`. */
  expired_by: LimitCode | null
  ended_at: number | null
}

export interface StagesTable {
  session_id: string
  name: StageName
  started_at: number
  ended_at: number | null
}

export interface EventsTable {
  seq: Generated<number>
  session_id: string
  type: string
  at: number
  data: Json<Record<string, unknown>>
}

/** A machine and the lease of its network slot; the row goes when both are verified absent. */
export interface MachinesTable {
  id: string
  /** null: belongs to the warm pool. */
  session_id: string | null
  image_id: string
  /** What it was restored from. A snapshot's id stands for image, monitor, accelerator, memory and processors alike. */
  snapshot_id: string | null
  /** Written once it runs. */
  origin: MachineOrigin | null
  slot_kind: 'tap' | 'user'
  slot_index: number
  vm_ip: string
  accelerator: 'kvm' | 'tcg'
  created_at: number
  /** It waits, paused and whole, since then. null: it is being made, or runs, or is to go. */
  ready_at: number | null
}

export interface ConnectionsTable {
  id: string
  project_id: string
  provider: string
  subject: string
  version: number
  captured: Json<CaptureSummary> | null
  last_session_id: string | null
  /** MAC of the vault over what the newest version is; null while there is none. */
  head: string | null
  created_at: number
  updated_at: number
}

export interface CredentialsTable {
  id: string
  connection_id: string
  version: number
  session_id: string
  /** AES-256-GCM under the entry's data key: base64url of iv, ciphertext, tag. */
  ciphertext: string
  /** The data key, wrapped under the key named by `wrapping_key_id`. */
  wrapped_key: string
  wrapping_key_id: string
  captured_at: number
  /** What it is bound to, see vault/entry-form.ts; 0: its data key was destroyed. */
  format: Generated<number>
}

/** The vault's keys, wrapped by whatever holds the root key. */
export interface WrappingKeysTable {
  id: string
  purpose: 'entries' | 'heads' | 'derived'
  state: 'current' | 'retiring'
  /** Who wrapped it: the kind of key provider. */
  provider: string
  /** Under which root, for people. */
  root_id: string
  wrapped: string
  created_at: number
}

/** One row: all changes of the vault, counted and added up, see vault/heads.ts. */
export interface VaultStateTable {
  id: number
  sequence: number
  heads: number
  sum: string
  mac: string
}

export interface VaultRotationsTable {
  id: Generated<number>
  requested_at: number
  /** null: it has not begun. */
  to_key_id: string | null
  total: number
  /** Entries that opened with no key. */
  unreadable: number
  completed_at: number | null
}

export interface SealingKeysTable {
  session_id: string
  kid: string
  public_x: string
  wrapped_private: string
  wrapping_key_id: string
  created_at: number
}

export interface TicketsTable {
  /** SHA-256 of the ticket, hexadecimal. */
  hash: string
  session_id: string
  access: 'control' | 'view'
  /** Who asked for it: an API key's id, `operator`, `visitor` and the session. */
  principal: string
  /** SHA-256 of the cookie that asked for it, and that alone may use it; null: asked for with a key. */
  cookie_hash: string | null
  /** Of the one page that may use it; null: this controller's own, and programs. */
  origin: string | null
  expires_at: number
  used_at: number | null
  revoked_at: number | null
  /** The key by which it was asked for, and which of its secrets: what the ticket opens lasts as long. null: no key. */
  key_id: string | null
  key_hash: string | null
}

/** A tenant: sees its own sessions and connections, and no other's. Never deleted. */
export interface ProjectsTable {
  id: string
  name: string
  created_at: number
}

export interface ApiKeysTable {
  id: string
  /** null: it sees every project, and has the scope `operator`. */
  project_id: string | null
  name: string
  /** SHA-256 of the key, hexadecimal. */
  hash: string
  scopes: Json<KeyScope[]>
  /** 1: the operator's, whose secret is in a file of the state directory. */
  in_file: Generated<number>
  created_at: number
  /** null: never. */
  expires_at: number | null
  revoked_at: number | null
  rotated_at: number | null
  /** Hash of the secret before the last rotation, which opens until `previous_expires_at`. */
  previous_hash: string | null
  previous_expires_at: number | null
  /** Written once a minute at the most. */
  last_used_at: number | null
}

/** Cookies: of the operator (no session) or of an account owner's browser (bound to one session). */
export interface CookiesTable {
  hash: string
  session_id: string | null
  expires_at: number
  /** Who the operator is, where an issuer said it. */
  person: Json<{ subject: string; name: string }> | null
  /** SHA-256 of the rules by which that person was let in. */
  rules_hash: string | null
}

/** One-time sign-in links of the operator. */
export interface SignInLinksTable {
  hash: string
  expires_at: number
}

export interface IdempotencyTable {
  principal: string
  key: string
  request_hash: string
  session_id: string
  created_at: number
}

/** Append-only: triggers refuse everything but a next entry. */
export interface AuditTable {
  seq: number
  at: number
  actor_kind: AuditActor['kind']
  actor_id: string | null
  action: AuditAction
  target_kind: AuditTarget['kind']
  target_id: string | null
  outcome: AuditEntry['outcome']
  request_id: string | null
  client_address: string | null
  details: Json<AuditDetails>
  previous_hash: string
  hash: string
}

/** One row: where the chain ends, under a MAC whose key is not in the database. */
export interface AuditHeadTable {
  id: 1
  seq: number
  hash: string
  mac: string
  key_id: string
}

/** What the machine of a session asked of one host and port; '' and 0: of the others, beyond a number of hosts. */
export interface EgressHostsTable {
  session_id: string
  host: string
  port: number
  result: EgressResult
  reason: string | null
  connections: number
  bytes_up: number
  bytes_down: number
  first_at: number
  last_at: number
}

export interface Tables {
  sessions: SessionsTable
  stages: StagesTable
  events: EventsTable
  machines: MachinesTable
  connections: ConnectionsTable
  credentials: CredentialsTable
  sealing_keys: SealingKeysTable
  wrapping_keys: WrappingKeysTable
  vault_state: VaultStateTable
  vault_rotations: VaultRotationsTable
  tickets: TicketsTable
  projects: ProjectsTable
  api_keys: ApiKeysTable
  cookies: CookiesTable
  sign_in_links: SignInLinksTable
  idempotency: IdempotencyTable
  audit: AuditTable
  audit_head: AuditHeadTable
  egress_hosts: EgressHostsTable
}

export type Row<T extends keyof Tables> = Selectable<Tables[T]>
export type NewRow<T extends keyof Tables> = Insertable<Tables[T]>
