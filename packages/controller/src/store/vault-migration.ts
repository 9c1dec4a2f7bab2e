import type { Migration } from './migrations.ts'

/** The vault's own keys, what notices that rows were put back, and the order in which a credential goes. */
export const keysOfTheVault: Migration = {
  number: 12,
  name: 'keys of the vault',
  statements: [
    `create table wrapping_keys (
        id text primary key,
        purpose text not null check (purpose in ('entries', 'heads', 'derived')),
        state text not null check (state in ('current', 'retiring')),
        provider text not null,
        root_id text not null,
        wrapped text not null,
        created_at integer not null
      )`,
    `create unique index wrapping_keys_current on wrapping_keys (purpose) where state = 'current'`,
    `create table vault_state (
        id integer primary key check (id = 1),
        sequence integer not null,
        heads integer not null,
        sum text not null,
        mac text not null
      )`,
    `create table vault_rotations (
        id integer primary key,
        requested_at integer not null,
        to_key_id text,
        total integer not null,
        unreadable integer not null,
        completed_at integer
      )`,
    `create unique index vault_rotations_running on vault_rotations (completed_at is null) where completed_at is null`,
    `alter table connections add column head text`,
    `alter table credentials add column format integer not null default 1`,
    `create index credentials_of_old_form on credentials (id) where format = 1`,
    // Whatever code runs, a credential goes after its data key: a row that is only deleted may be read from an older page.
    `create trigger data_key_goes_first before delete on credentials when old.format <> 0
        begin select raise(abort, 'a data key is destroyed before its credential goes'); end`,
  ],
}
