import { CommandError, type CommandResult, createSerialiser, type Log, runCommand, type Scope } from '@anteroom/base'
import { firewallRuleset, firewallTable, type Guarded } from './firewall-ruleset.ts'
import { path } from './ip-command.ts'

/** Whoever flushes the host's rules leaves the machines' ports open for so long. */
const everyMs = 15_000
const commandMs = 10_000

export interface FirewallState {
  readonly inForce: boolean
  /** Why not, in words; null when it is. */
  readonly why: string | null
  /** Packets that it has refused since it was set last. */
  readonly refused: number
}

/**
 * Only the controller's user reaches the machines' ports, from this host alone. What keeps out a process of that same user, and of
 * root, are the secrets of each machine.
 */
export interface Firewall {
  /** Sets it, unless it stands as it was set. Where it cannot be had the reason is logged once: machines are served without it. */
  ensure(scope: Scope): Promise<FirewallState>
  /** Looks every 15 s that nobody has changed or removed it, and sets it again, until `scope` is over. */
  guard(scope: Scope): Promise<void>
  /** Looks only. */
  look(scope: Scope): Promise<FirewallState>
  remove(scope: Scope): Promise<void>
}

export interface FirewallParts extends Guarded {
  readonly log: Log
  /** It was gone or changed, and was set again. */
  readonly onRestored: () => void
}

export function createFirewall({ log, onRestored, ...guarded }: FirewallParts): Firewall {
  const ruleset = firewallRuleset(guarded)
  const oneAtATime = createSerialiser()
  /** As nft lists it, without its counters, just after it was set. */
  let asSet: string | undefined
  let lastSaid: string | null = null

  const isAsSet = async (scope: Scope): Promise<boolean> =>
    asSet !== undefined && (await listing(guarded.tag, scope)) === asSet

  async function look(scope: Scope): Promise<FirewallState> {
    if (!(await isAsSet(scope))) return { inForce: false, why: lastSaid ?? 'it was changed or removed', refused: 0 }
    return { inForce: true, why: null, refused: await refusedPackets(guarded.tag, scope) }
  }

  async function ensure(scope: Scope): Promise<FirewallState> {
    if (!(await isAsSet(scope))) {
      const wasSet = asSet !== undefined
      await setTable(guarded.tag, ruleset, scope)
      asSet = await listing(guarded.tag, scope)
      if (wasSet) {
        log.warn({ table: firewallTable(guarded.tag) }, 'the firewall was changed or removed, and is set again')
        onRestored()
      }
    }
    lastSaid = null
    return await look(scope)
  }

  /** One after the other. That nft is missing, may not or hangs is an answer, and nothing to end for. */
  const ask = async (
    name: string,
    scope: Scope,
    work: (inner: Scope) => Promise<FirewallState>,
  ): Promise<FirewallState> => {
    try {
      return await oneAtATime('table', () => scope.run({ name, deadlineMs: commandMs }, work))
    } catch (error) {
      scope.throwIfOver()
      const why = error instanceof Error ? error.message : String(error)
      if (lastSaid === null) log.warn({ error: why }, 'no firewall guards the ports of the machines')
      lastSaid = why
      return { inForce: false, why, refused: 0 }
    }
  }

  return {
    ensure: (scope) => ask('setting the firewall', scope, ensure),
    look: (scope) => ask('looking at the firewall', scope, look),
    async guard(scope) {
      for (;;) {
        await scope.clock.delay(everyMs, scope.signal)
        if (scope.signal.aborted) return
        await ask('looking after the firewall', scope, ensure).catch((error: unknown) => {
          if (!scope.signal.aborted) log.error({ error }, 'nobody looked after the firewall; it is looked at again')
        })
      }
    },
    remove: (scope) =>
      oneAtATime('table', () =>
        scope.run({ name: 'removing the firewall', deadlineMs: commandMs }, async (inner) => {
          asSet = undefined
          await removeFirewall(guarded.tag, inner)
        }),
      ),
  }
}

/** Also when there is none, and where there never could be one. */
export async function removeFirewall(tag: string, scope: Scope): Promise<void> {
  const name = firewallTable(tag)
  // The first line, because a table that is not there cannot be deleted.
  await nft(scope, ['-f', '-'], `table inet ${name} {}\ndelete table inet ${name}\n`).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error
    scope.log.debug({ error: error.message }, 'there can be no firewall here')
  })
}

/** One transaction: at no time are there half of the rules, or none. */
const setTable = async (tag: string, ruleset: string, scope: Scope): Promise<void> => {
  const name = firewallTable(tag)
  await nft(scope, ['-f', '-'], `table inet ${name} {}\ndelete table inet ${name}\n${ruleset}`)
}

/** undefined when there is no such table. @throws CommandError when nft cannot be run */
async function listing(tag: string, scope: Scope): Promise<string | undefined> {
  try {
    return (await nft(scope, ['-s', 'list', 'table', 'inet', firewallTable(tag)])).stdout
  } catch (error) {
    if (error instanceof CommandError && error.failure.stderr.includes('No such file or directory')) return undefined
    throw error
  }
}

async function refusedPackets(tag: string, scope: Scope): Promise<number> {
  const { stdout } = await nft(scope, ['list', 'counters', 'table', 'inet', firewallTable(tag)])
  return [...stdout.matchAll(/packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0)
}

const nft = (scope: Scope, args: readonly string[], input = ''): Promise<CommandResult> =>
  runCommand(scope, 'nft', args, { input, env: { ...process.env, PATH: path, LC_ALL: 'C' } })
