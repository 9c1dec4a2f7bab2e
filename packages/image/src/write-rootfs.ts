import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { runCommand, type Scope } from '@anteroom/base'
import type { BuildLog } from './build-log.ts'
import { runTool } from './run-tool.ts'

/**
 * Writes `rootfs` to `directory`: the system as an ext4 file system in a sparse file; mke2fs copies a directory in, so that nothing is mounted and no loop
 * device is needed. Without a journal, because it is only ever mounted read-only.
 * @throws AppError image_build_failed, disk_full
 */
export async function writeRootfs(root: string, directory: string, log: BuildLog, scope: Scope): Promise<void> {
  const rootfs = join(directory, 'rootfs')
  const [kib, inodes] = await Promise.all([usage(scope, root, '--block-size=1K'), usage(scope, root, '--inodes')])
  // 3 % for directories and block groups; 256 bytes an inode.
  const sizeKiB = Math.ceil(kib * 1.03 + inodes / 4) + 16 * 1024
  const uuid = createHash('sha256').update('anteroom rootfs').digest('hex').slice(0, 32)
  const dashed = uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  const command = [
    ...(['mke2fs', '-q', '-t', 'ext4', '-L', 'anteroom', '-U', dashed] as const),
    ...['-E', `hash_seed=${dashed},root_owner=0:0`, '-O', '^has_journal,^resize_inode'],
    ...['-m', '0', '-b', '4096', '-N', String(inodes + 64), '-d', root, rootfs, `${sizeKiB}k`],
  ] as const
  await runTool({ command, directory }, log, scope)
}

async function usage(scope: Scope, directory: string, unit: string): Promise<number> {
  const { stdout } = await runCommand(scope, 'du', ['--summarize', unit, directory])
  return Number.parseInt(stdout, 10)
}
