import { connect } from 'node:net'
import { systemClock } from '@anteroom/base'

/** A request as it goes over the wire; nothing checks that it is one. */
export interface Wire {
  readonly method: string
  readonly target: string
  /** A character is a byte. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

export const bytesOf = ({ method, target, headers, body }: Wire): Buffer =>
  Buffer.concat([
    Buffer.from(
      `${method} ${target} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
      'latin1',
    ),
    body ?? Buffer.alloc(0),
  ])

/** Far more than anything here takes, also on a busy host. */
const patienceMs = 20_000

const halfMs = 300

/** Sends bytes over a connection of their own; gives what came back until it was complete or closed. */
export async function exchange(port: number, bytes: Buffer): Promise<Answer | 'no answer' | 'silence'> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const over = new AbortController()
  const chunks: Buffer[] = []
  try {
    // The other side may close before it has read all of it.
    socket.on('error', () => {})
    socket.write(bytes)
    // What is announced and does not come is waited for; half a connection is enough to tell that it will not.
    void systemClock.delay(halfMs, over.signal).then(() => over.signal.aborted || socket.end())
    const answered = new Promise<'answered'>((resolve) => {
      socket.on('close', () => resolve('answered'))
      socket.on('end', () => resolve('answered'))
      socket.on('data', (chunk) => {
        chunks.push(chunk)
        if (isEndless(Buffer.concat(chunks).toString('latin1'))) resolve('answered')
      })
    })
    const late = systemClock.delay(patienceMs, over.signal).then(() => 'silence' as const)
    if ((await Promise.race([answered, late])) === 'silence') return 'silence'
  } finally {
    over.abort()
    socket.destroy()
  }
  return parse(Buffer.concat(chunks).toString('latin1'))
}

/** Event streams and WebSockets: their head is all that is waited for. */
const isEndless = (text: string): boolean =>
  text.includes('\r\n\r\n') && (/^HTTP\/1\.1 101 /.test(text) || /^content-type: text\/event-stream/im.test(text))

function parse(text: string): Answer | 'no answer' {
  const final = text.replace(/^(HTTP\/1\.1 100 [^\r]*\r\n\r\n)+/, '')
  const end = final.indexOf('\r\n\r\n')
  const [first = '', ...lines] = final.slice(0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3}) ?/.exec(first)?.[1])
  if (end < 0 || !status) return 'no answer'
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }),
  )
  // What is behind it answers what was behind the request.
  const bytes = final.slice(end + 4).slice(0, Number(headers.get('content-length') ?? Number.POSITIVE_INFINITY))
  const body = headers.get('transfer-encoding') === 'chunked' ? unchunked(bytes) : bytes
  return { status, headers, body: Buffer.from(body, 'latin1').toString('utf8') }
}

function unchunked(body: string): string {
  let rest = body
  let text = ''
  for (;;) {
    const line = rest.indexOf('\r\n')
    const length = Number.parseInt(rest.slice(0, line), 16)
    if (!(length > 0)) return text
    text += rest.slice(line + 2, line + 2 + length)
    rest = rest.slice(line + 4 + length)
  }
}
