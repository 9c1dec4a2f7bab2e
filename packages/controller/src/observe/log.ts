import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino'
import pretty from 'pino-pretty'
import { withoutSecrets } from './redact-url.ts'

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** For people at a terminal; JSON lines otherwise. */
  readonly pretty: boolean
  /** Standard output, if left out. */
  readonly destination?: DestinationStream
}

/**
 * Fields whose value never belongs in a log. `Secret<T>` is the first wall; this is the second, for what comes from
 * outside as plain text: headers, bodies, answers of a guest.
 */
const secretFields = [
  'authorization',
  'cookie',
  '["set-cookie"]',
  'password',
  'rfb_password',
  'secret',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'ticket',
  'sealed',
  'credential',
  'hosted_url',
]
const depths = ['', '*', '*.*', '*.*.*']
const secretPaths = depths.flatMap((above) =>
  secretFields.map((field) => (above && !field.startsWith('[') ? `${above}.${field}` : `${above}${field}`)),
)

/** The log of the process. A `pino` logger, which satisfies `Log` of base and what Fastify asks of a logger. */
export function createLog({ level, pretty: forPeople, destination }: LogOptions): Logger {
  const options = {
    level,
    // The process and host that pino would repeat on every line are what the journal adds by itself.
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretPaths, censor: '[secret]' },
    serializers: { err: stdSerializers.errWithCause, error: stdSerializers.errWithCause, req: request },
  }
  if (!forPeople) return destination ? pino(options, destination) : pino(options)
  // In this process and not in a worker: the last lines before a crash are the ones that matter.
  const stream = pretty({
    translateTime: 'SYS:HH:MM:ss.l',
    sync: true,
    ...(destination && { destination, colorize: false }),
  })
  return pino(options, stream)
}

interface LoggedRequest {
  readonly method?: string
  readonly url?: string
  readonly ip?: string
}

const request = ({ method, url, ip }: LoggedRequest) => ({ method, url: url && withoutSecrets(url), ip })
