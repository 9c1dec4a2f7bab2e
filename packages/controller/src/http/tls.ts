import { readFile } from 'node:fs/promises'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import { AppError, type Clock, type Log } from '@anteroom/base'
import type { Config } from '../config.ts'

type Files = NonNullable<Config['listen']['tls']>

/** A certificate with those above it, and its key: PEM. */
export interface TlsPair {
  readonly cert: string
  readonly key: string
}

const lookEveryMs = 60_000

/** @throws AppError config_invalid, naming the file, for what cannot be read or does not belong together */
export async function readTlsPair({ certificate_file, key_file }: Files): Promise<TlsPair> {
  const read = (setting: string, path: string): Promise<string> =>
    readFile(path, 'utf8').catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new AppError('config_invalid', { detail: `listen.tls.${setting}: ${path} cannot be read: ${why}`, cause })
    })
  const [cert, key] = [await read('certificate_file', certificate_file), await read('key_file', key_file)]
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const detail = `listen.tls: ${certificate_file} and ${key_file} are no certificate and its key: ${why}`
    throw new AppError('config_invalid', { detail, cause })
  }
  return { cert, key }
}

interface Renewal {
  readonly files: Files
  readonly server: Pick<Server, 'setSecureContext'>
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

/** Takes renewed files within a minute, for new connections. Until the two belong together the old ones go on. */
export async function keepTlsPairFresh(first: TlsPair, { files, server, clock, log, signal }: Renewal): Promise<void> {
  let now = first
  let said = ''
  while (!signal.aborted) {
    await clock.delay(lookEveryMs, signal)
    if (signal.aborted) return
    try {
      const next = await readTlsPair(files)
      if (next.cert === now.cert && next.key === now.key) continue
      server.setSecureContext({ ...next })
      now = next
      said = ''
      log.info({ certificate: files.certificate_file }, 'serving the renewed certificate')
    } catch (error) {
      const why = AppError.from(error)
      if (why.message !== said) log.error({ error: why }, 'the certificate on disk cannot be used; the old one goes on')
      said = why.message
    }
  }
}
