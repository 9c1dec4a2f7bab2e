import { defaultProjectId } from '@anteroom/contract'
import { keysOfTheVault } from './vault-migration.ts'

/**
 * Numbered, forward only. A migration that has been released never changes; mistakes are mended by the next one.
 * The statements are plain enough for SQLite and Postgres alike.
 */
export interface Migration {
  readonly number: number
  readonly name: string
  readonly statements: readonly string[]
}

const live = `'vm_created', 'ready', 'capturing'`

export const migrations: readonly Migration[] = [
  {
    number: 1,
    name: 'sessions, machines, connections, vault, access',
    statements: [
      `create table sessions (
        id text primary key,
        version integer not null,
        status text not null check (status in ('queued', 'starting', ${live}, 'ending', 'ended')),
        outcome text check (outcome in ('completed', 'failed', 'expired', 'cancelled')),
        provider text not null,
        provider_definition text not null,
        subject text not null,
        connection_id text,
        return_url text,
        end_requested text check (end_requested in ('completed', 'failed', 'expired', 'cancelled')),
        capture_requested integer not null default 0,
        browser_vm_id text,
        vm_ip text,
        vnc_url text,
        image_id text,
        failure text,
        captured text,
        entry_hash text not null,
        entered_at integer,
        attempt integer not null default 0,
        not_before integer not null default 0,
        created_at integer not null,
        expires_at integer not null,
        ended_at integer,
        -- The investigation that started this project: a live session without these fields cannot be written.
        constraint live_session_has_its_machine check (
          status not in (${live}) or (browser_vm_id is not null and vm_ip is not null and vnc_url is not null and image_id is not null)),
        constraint ending_session_has_an_outcome check ((status in ('ending', 'ended')) = (outcome is not null)),
        constraint ended_session_has_a_time check ((status = 'ended') = (ended_at is not null)),
        constraint failed_session_has_a_reason check (outcome is null or outcome <> 'failed' or failure is not null)
      )`,
      `create index sessions_due on sessions (status, not_before) where status <> 'ended'`,
      `create index sessions_newest on sessions (created_at desc, id desc)`,
      `create index sessions_by_subject on sessions (provider, subject)`,
      `create table stages (
        session_id text not null references sessions (id) on delete cascade,
        name text not null,
        started_at integer not null,
        ended_at integer,
        primary key (session_id, name)
      )`,
      `create table events (
        seq integer primary key autoincrement,
        session_id text not null,
        type text not null,
        at integer not null,
        data text not null
      )`,
      `create index events_by_session on events (session_id, seq)`,
      `create table machines (
        id text primary key,
        session_id text unique references sessions (id),
        image_id text not null,
        slot_kind text not null check (slot_kind in ('tap', 'user')),
        slot_index integer not null unique,
        vm_ip text not null unique,
        accelerator text not null check (accelerator in ('kvm', 'tcg')),
        created_at integer not null
      )`,
      `create table connections (
        id text primary key,
        provider text not null,
        subject text not null,
        version integer not null default 0,
        captured text,
        last_session_id text,
        created_at integer not null,
        updated_at integer not null,
        unique (provider, subject)
      )`,
      `create table credentials (
        id text primary key,
        connection_id text not null references connections (id) on delete cascade,
        version integer not null,
        session_id text not null unique,
        ciphertext text not null,
        wrapped_key text not null,
        wrapping_key_id text not null,
        captured_at integer not null,
        unique (connection_id, version)
      )`,
      `create table sealing_keys (
        session_id text primary key,
        kid text not null unique,
        public_x text not null,
        wrapped_private text not null,
        wrapping_key_id text not null,
        created_at integer not null
      )`,
      `create table tickets (
        hash text primary key,
        session_id text not null,
        access text not null check (access in ('control', 'view')),
        expires_at integer not null,
        used_at integer,
        revoked_at integer
      )`,
      `create index tickets_by_session on tickets (session_id)`,
      `create table api_keys (
        id text primary key,
        name text not null,
        hash text not null unique,
        scopes text not null,
        created_at integer not null
      )`,
      `create table cookies (hash text primary key, session_id text, expires_at integer not null)`,
      `create table sign_in_links (hash text primary key, expires_at integer not null)`,
      `create table idempotency (
        principal text not null,
        key text not null,
        request_hash text not null,
        session_id text not null,
        created_at integer not null,
        primary key (principal, key)
      )`,
      // S4 of the fault plan: whatever code runs, an ended session and its outcome never change again.
      `create trigger ended_is_final before update on sessions when old.status = 'ended'
        begin select raise(abort, 'an ended session never changes'); end`,
      `create trigger outcome_is_final before update of outcome on sessions when old.outcome is not null and new.outcome is not old.outcome
        begin select raise(abort, 'an outcome never changes'); end`,
    ],
  },
  {
    number: 2,
    name: 'machines of the warm pool',
    statements: [
      `alter table machines add column snapshot_id text`,
      `alter table machines add column origin text check (origin in ('warm', 'restored', 'booted'))`,
      `alter table machines add column ready_at integer`,
      // Outlives the machine, whose row goes when it is gone.
      `alter table sessions add column machine_origin text check (machine_origin in ('warm', 'restored', 'booted'))`,
      // Whatever code runs, a machine that was one session's never becomes another's, nor one of the pool again.
      `create trigger machine_serves_one_session before update of session_id on machines
        when old.session_id is not null and new.session_id is not old.session_id
        begin select raise(abort, 'a machine serves one session'); end`,
    ],
  },
  {
    number: 3,
    name: 'indexes for a million sessions',
    statements: [
      // Sessions that have not ended are few, however many have. What is done for all of them reads this index, never the table.
      `drop index sessions_due`,
      `create index sessions_not_ended on sessions (status, created_at, id) where status <> 'ended'`,
      // A page of a filtered list is read in its order; what comes after the page is not looked at.
      `drop index sessions_by_subject`,
      `create index sessions_of_subject on sessions (subject, created_at desc, id desc)`,
      `create index sessions_of_provider on sessions (provider, created_at desc, id desc)`,
      `create index connections_newest on connections (created_at desc, id desc)`,
      `create index connections_of_subject on connections (subject, created_at desc, id desc)`,
      `create index connections_of_provider on connections (provider, created_at desc, id desc)`,
      // What is forgotten by its age is found by it.
      `create index idempotency_by_age on idempotency (created_at)`,
      `create index tickets_by_expiry on tickets (expires_at)`,
      // Asked at every start: which keys opened anything that is stored?
      `create index credentials_by_wrapping_key on credentials (wrapping_key_id)`,
    ],
  },
  {
    number: 4,
    name: 'limits of a session',
    statements: [
      `alter table sessions add column may_extend_until integer`,
      `alter table sessions add column first_connect_expires_at integer`,
      `alter table sessions add column idle_expires_at integer`,
      `alter table sessions add column expired_by text
        check (expired_by in ('session_expired', 'session_idle', 'session_never_opened'))`,
    ],
  },
  {
    number: 5,
    name: 'who asked for a session',
    statements: [
      `alter table sessions add column principal text`,
      // All that the transaction that creates a session counts is in the index itself.
      `drop index sessions_not_ended`,
      `create index sessions_not_ended on sessions (status, created_at, id, subject, principal, provider, end_requested)
        where status <> 'ended'`,
    ],
  },
  {
    number: 6,
    name: 'keys that expire, are rotated and revoked',
    statements: [
      `alter table api_keys add column in_file integer not null default 0 check (in_file in (0, 1))`,
      `alter table api_keys add column expires_at integer`,
      `alter table api_keys add column revoked_at integer`,
      `alter table api_keys add column rotated_at integer`,
      `alter table api_keys add column previous_hash text`,
      `alter table api_keys add column previous_expires_at integer`,
      `alter table api_keys add column last_used_at integer`,
      // Until now its name told which one is the operator's.
      `update api_keys set in_file = 1 where name = 'operator key file'`,
      `create unique index api_keys_one_in_file on api_keys (in_file) where in_file = 1`,
      // What lasts as long as the key of whoever asked for it.
      `alter table tickets add column key_id text`,
      `alter table tickets add column key_hash text`,
    ],
  },
  {
    number: 7,
    name: 'whose a ticket is',
    statements: [
      // Tickets live for minutes, and pages ask for new ones: those of before say not whose they are, and go.
      `drop table tickets`,
      `create table tickets (
        hash text primary key,
        session_id text not null,
        access text not null check (access in ('control', 'view')),
        principal text not null,
        cookie_hash text,
        key_id text,
        key_hash text,
        origin text,
        expires_at integer not null,
        used_at integer,
        revoked_at integer,
        check (cookie_hash is null or (origin is null and key_id is null))
      )`,
      `create index tickets_by_session on tickets (session_id)`,
      `create index tickets_by_expiry on tickets (expires_at)`,
      `create index tickets_by_cookie on tickets (cookie_hash) where cookie_hash is not null`,
    ],
  },
  {
    number: 8,
    name: 'projects',
    statements: [
      `create table projects (id text primary key, name text not null, created_at integer not null)`,
      `insert into projects (id, name, created_at) values ('${defaultProjectId}', 'default', 0)`,
      `alter table api_keys add column project_id text`,
      `update api_keys set project_id = '${defaultProjectId}' where scopes not like '%"operator"%'`,
      // A default, because sessions that have ended cannot be filled in; no reference, which would not allow one.
      `alter table sessions add column project_id text not null default '${defaultProjectId}'`,
      `drop index sessions_not_ended`,
      `create index sessions_not_ended
        on sessions (status, created_at, id, subject, principal, provider, end_requested, project_id) where status <> 'ended'`,
      `create index sessions_not_ended_of_project on sessions (project_id, status, created_at, id) where status <> 'ended'`,
      `create index sessions_of_project on sessions (project_id, created_at desc, id desc)`,
      `create index sessions_of_project_subject on sessions (project_id, subject, created_at desc, id desc)`,
      `create index sessions_of_project_provider on sessions (project_id, provider, created_at desc, id desc)`,
      // A subject is one of its project's, so both tables are built anew. Dropping connections deletes its rows, which takes every
      // credential along that still refers to it: those are moved first, to where they refer to the new one.
      `create table new_connections (
        id text primary key,
        project_id text not null references projects (id),
        provider text not null,
        subject text not null,
        version integer not null default 0,
        captured text,
        last_session_id text,
        created_at integer not null,
        updated_at integer not null,
        unique (project_id, provider, subject)
      )`,
      `insert into new_connections
          (id, project_id, provider, subject, version, captured, last_session_id, created_at, updated_at)
        select id, '${defaultProjectId}', provider, subject, version, captured, last_session_id, created_at, updated_at
        from connections`,
      `create table new_credentials (
        id text primary key,
        connection_id text not null references new_connections (id) on delete cascade,
        version integer not null,
        session_id text not null unique,
        ciphertext text not null,
        wrapped_key text not null,
        wrapping_key_id text not null,
        captured_at integer not null,
        unique (connection_id, version)
      )`,
      `insert into new_credentials
          (id, connection_id, version, session_id, ciphertext, wrapped_key, wrapping_key_id, captured_at)
        select id, connection_id, version, session_id, ciphertext, wrapped_key, wrapping_key_id, captured_at from credentials`,
      `drop table credentials`,
      `drop table connections`,
      // Renaming says the new name in what refers to it, too.
      `alter table new_connections rename to connections`,
      `alter table new_credentials rename to credentials`,
      `create index connections_newest on connections (created_at desc, id desc)`,
      `create index connections_of_subject on connections (subject, created_at desc, id desc)`,
      `create index connections_of_provider on connections (provider, created_at desc, id desc)`,
      `create index connections_of_project on connections (project_id, created_at desc, id desc)`,
      `create index connections_of_project_subject on connections (project_id, subject, created_at desc, id desc)`,
      `create index connections_of_project_provider on connections (project_id, provider, created_at desc, id desc)`,
      `create index credentials_by_wrapping_key on credentials (wrapping_key_id)`,
    ],
  },
  {
    number: 9,
    name: 'what the account owner agreed to',
    statements: [
      `alter table sessions add column agreed_at integer`,
      // Whoever has a screen open at the upgrade was told the same before, by a page that did not ask.
      `update sessions set agreed_at = entered_at where status <> 'ended'`,
    ],
  },
  {
    number: 10,
    name: 'audit',
    statements: [
      `create table audit (
        seq integer primary key,
        at integer not null,
        actor_kind text not null,
        actor_id text,
        action text not null,
        target_kind text not null,
        target_id text,
        outcome text not null,
        request_id text,
        client_address text,
        details text not null,
        previous_hash text not null,
        hash text not null
      )`,
      `create index audit_of_target on audit (target_id, seq)`,
      `create index audit_of_actor on audit (actor_id, seq)`,
      `create table audit_head (
        id integer primary key check (id = 1),
        seq integer not null,
        hash text not null,
        mac text not null,
        key_id text not null
      )`,
      // Against our own mistakes. Who writes to the file drops them first: the chain of hashes is for that.
      `create trigger audit_is_final before update on audit
        begin select raise(abort, 'an entry of the audit never changes'); end`,
      `create trigger audit_stays before delete on audit
        begin select raise(abort, 'an entry of the audit is never removed'); end`,
      // Also `insert or replace`, which asks no trigger of deletion.
      `create trigger audit_grows_at_its_end before insert on audit when new.seq <= (select max(seq) from audit)
        begin select raise(abort, 'an entry of the audit comes after all others'); end`,
      `create trigger audit_head_stays before delete on audit_head
        begin select raise(abort, 'the audit has an end'); end`,
    ],
  },
  {
    number: 11,
    name: 'where machines went',
    statements: [
      `create table egress_hosts (
        session_id text not null references sessions (id) on delete cascade,
        host text not null,
        port integer not null,
        result text not null check (result in ('connected', 'refused', 'unreachable')),
        reason text,
        connections integer not null,
        bytes_up integer not null,
        bytes_down integer not null,
        first_at integer not null,
        last_at integer not null,
        primary key (session_id, host, port, result)
      )`,
    ],
  },
  keysOfTheVault,
  {
    number: 13,
    name: 'who the operator is',
    statements: [`alter table cookies add column person text`, `alter table cookies add column rules_hash text`],
  },
]
