import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '@anteroom/base'

export interface BuildLog extends AsyncDisposable {
  readonly path: string
  readonly fd: number
  line(text: string): Promise<void>
}

/** The log of one build; that of the build before is overwritten. */
export async function openBuildLog(path: string): Promise<BuildLog> {
  await mkdir(dirname(path), { recursive: true })
  // Appending, because the programs write through descriptors of their own.
  const file = await open(path, 'w').then(async (created) => {
    await created.close()
    return await open(path, 'a')
  })
  return {
    path,
    fd: file.fd,
    line: async (text) => void (await file.write(`${text}\n`)),
    [Symbol.asyncDispose]: () => file.close(),
  }
}

const tailLines = 15

/** With the end of the log in it; `disk_full` when that is what the programs said. */
export async function imageBuildFailed(what: string, log: BuildLog): Promise<AppError> {
  const text = await readFile(log.path, 'utf8')
  const tail = text.trimEnd().split('\n').slice(-tailLines).join('\n')
  if (/No space left on device/.test(tail)) return new AppError('disk_full', { detail: `${what}; see ${log.path}` })
  return new AppError('image_build_failed', { detail: `${what}; see ${log.path}, which ends:\n${tail}` })
}
