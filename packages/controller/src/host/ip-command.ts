import { type CommandResult, runCommand, type Scope } from '@anteroom/base'

/** `nft` is in /usr/sbin, which is not on the PATH of everybody who became root (`su` without `-`). */
export const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`

/** ip(8); inside a namespace also other programs, by `netns exec`. @throws CommandError */
export const ipCommand = (scope: Scope, args: readonly string[], input = ''): Promise<CommandResult> =>
  runCommand(scope, 'ip', args, { input, env: { ...process.env, PATH: path } })

/**
 * Several of them in one process, one after the other until one fails: starting ip(8) takes longer than what it does.
 * @throws CommandError, naming the line by its number
 */
export const ipBatch = (scope: Scope, options: readonly string[], lines: readonly string[]): Promise<CommandResult> =>
  ipCommand(scope, [...options, '-batch', '-'], `${lines.join('\n')}\n`)
