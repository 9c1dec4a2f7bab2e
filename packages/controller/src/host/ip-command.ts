import { type CommandResult, runCommand, type Scope } from '@anteroom/base'

/** `nft` is in /usr/sbin, which is not on the PATH of everybody who became root (`su` without `-`). */
const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`

/** ip(8); inside a namespace also other programs, by `netns exec`. @throws CommandError */
export const ipCommand = (scope: Scope, args: readonly string[], input = ''): Promise<CommandResult> =>
  runCommand(scope, 'ip', args, { input, env: { ...process.env, PATH: path } })
