import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino'
import pretty from 'pino-pretty'
import { withoutSecrets } from './redact-url.ts'

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** For people at a terminal; JSON lines otherwise. */
  readonly pretty: boolean
  /** Standard output, if left out. */
  readonly destination?: DestinationStream
  /** Gets every line too, as JSON. */
  readonly files?: DestinationStream
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
export function createLog({ level, pretty: forPeople, destination, files }: LogOptions): Logger {
  const options = {
    level,
    // The process and host that pino would repeat on every line are what the journal adds by itself.
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretPaths, censor: '[secret]' },
    serializers: { err: stdSerializers.errWithCause, error: stdSerializers.errWithCause, req: request },
  }
  const shown = forPeople ? readable(destination) : (destination ?? standardOutput())
  if (!files) return pino(options, shown)
  return pino(options, pino.multistream([shown, files].map((stream) => ({ level, stream }))))
}

// In this process and not in a worker: the last lines before a crash are the ones that matter.
const readable = (destination: DestinationStream | undefined): DestinationStream =>
  pretty({ translateTime: 'SYS:HH:MM:ss.l', sync: true, ...(destination && { destination, colorize: false }) })

/** What waits to be written while standard output takes nothing: a file on a full disk, or a pipe that nobody reads. */
const mostWaitingBytes = 1024 * 1024

function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: true, maxLength: mostWaitingBytes })
  // Without a listener a disk that is full would end the process.
  stream.on('error', () => {})
  return stream
}

interface LoggedRequest {
  readonly method?: string
  readonly url?: string
  readonly ip?: string
}

const request = ({ method, url, ip }: LoggedRequest) => ({ method, url: url && withoutSecrets(url), ip })
