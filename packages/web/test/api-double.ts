import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import {
  type AuditEntry,
  type Connection,
  type Diagnosis,
  type DoctorReport,
  type EgressHost,
  type ErrorCode,
  errorDefinitions,
  type Image,
  type Machine,
  type PoolStatus,
  type ProviderSummary,
  type Session,
  type Viewer,
} from '@anteroom/contract'
import helmet from 'helmet'
import { type WebSocket, WebSocketServer } from 'ws'
import { securityHeaders } from '../../controller/src/http/security-headers.ts'
import { sampleDiagnosis, sampleDoctor, samplePool, sampleProvider, sampleSession } from './sample.ts'

const mediaTypes: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain',
}

const ownViewer = `vwr_${'0'.repeat(24)}`

interface HeldPages {
  count: number
  readonly released: Promise<void>
  release(): void
}

/** The controller as the pages see it: built files, the API of one session, and whatever the test makes of them. */
export class ApiDouble {
  session: Session = sampleSession()
  provider: ProviderSummary = sampleProvider
  idleSeconds = 300
  askedBy: string | null = 'Example Ltd'
  agreed = false
  ways: { issuer: string | null; links: boolean } = { issuer: null, links: true }
  /** The issuer knows whoever signs in, and this service does not. */
  stranger = false
  /** Besides the page's own view, whose id is that of its ticket. */
  others: Viewer[] = []
  /** What its own view has; the ticket for control is refused unless it is `control` from the beginning. */
  access: 'control' | 'view' = 'control'
  isOwner = true
  asksForControl = false
  operator: {
    providers: ProviderSummary[]
    problems: { file: string; line: number; field: string; message: string }[]
    sessions: Session[]
    connections: Connection[]
    machines: Machine[]
    images: Image[]
    pool: PoolStatus
    doctor: DoctorReport
    diagnosis: Diagnosis
    egress: EgressHost[]
    /** Newest first. */
    audit: AuditEntry[]
  } = {
    ...{ providers: [], problems: [], sessions: [], connections: [], machines: [], images: [], audit: [] },
    ...{ pool: samplePool, doctor: sampleDoctor, diagnosis: sampleDiagnosis, egress: [] },
  }
  /** Requests that changed something: `POST /v1/…`. */
  readonly changes: string[] = []
  /** As the controller sends them. */
  readonly #secure = helmet(securityHeaders(undefined, ({ headers }) => `http://${headers.host}`))
  readonly #server = createServer((request, response) => {
    this.#secure(request, response, () => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error))
    })
  })
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'binary' })
  readonly #streams = new Set<ServerResponse>()
  readonly #root: string
  #secret: string | undefined = 'once'
  #held: HeldPages | undefined
  #port = 0

  private constructor(root: string, onLive: (socket: WebSocket) => void) {
    this.#root = root
    this.#server.on('upgrade', (request, socket, head) => {
      this.#sockets.handleUpgrade(request, socket, head, onLive)
    })
  }

  static async start(root: string, onLive: (socket: WebSocket) => void): Promise<ApiDouble> {
    const double = new ApiDouble(root, onLive)
    await new Promise<void>((resolve) => double.#server.listen(0, '127.0.0.1', resolve))
    return double
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo | null)?.port ?? this.#port}`
  }

  get hostedUrl(): string {
    return `${this.url}/connect/${this.session.id}#entry=once`
  }

  /** Pages that hear of events. */
  get followers(): number {
    return this.#streams.size
  }

  /** The session moves on, and everybody who follows it hears of it. */
  become(session: Session): void {
    this.session = session
    this.tell({ status: session.status })
  }

  /** An event, whatever the session is. */
  tell(data: Record<string, unknown>): void {
    const event = { seq: 1, session_id: this.session.id, type: 'status', at: new Date().toISOString(), data }
    for (const stream of this.#streams) stream.write(`id: 1\nevent: session\ndata: ${JSON.stringify(event)}\n\n`)
  }

  /** From now on the page is told how it was when it asked, and not before `release` is called. */
  holdPages(): HeldPages {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#held = { count: 0, released: promise, release: resolve }
    return this.#held
  }

  /** Cuts every live view with this close code. */
  cut(code: number): void {
    for (const socket of this.#sockets.clients) socket.close(code)
  }

  /** Killed: every connection is cut, and nobody answers until `comeBack`. */
  async goAway(): Promise<void> {
    this.#port = (this.#server.address() as AddressInfo).port
    await this.close()
  }

  async comeBack(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', this.url)
    const call = `${request.method} ${pathname.replace(this.session.id, 'SESSION')}`
    if (call === 'GET /v1/sessions/SESSION/events') {
      this.#streams.add(response)
      response.on('close', () => this.#streams.delete(response))
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 1000\n\n')
      return
    }
    const reply = pathname.startsWith('/v1/') ? await this.#reply(call, request) : await this.#file(pathname)
    response.writeHead(reply.status, reply.headers).end(reply.body)
  }

  async #reply(call: string, request: IncomingMessage): Promise<Reply> {
    if (request.method !== 'GET') {
      this.changes.push(call)
      if (request.headers['x-anteroom-request'] !== '1') return problem('origin_refused')
    }
    const body = request.method === 'POST' ? await jsonOf(request) : {}
    if (call === 'POST /v1/sessions/SESSION/entry') return this.#enter(body)
    if (call === 'POST /v1/operator/sign-in')
      return body.token === 'once' ? cookie('operator=1; HttpOnly; Path=/') : problem('entry_invalid')
    if (call === 'GET /v1/operator/sign-in') return json(this.ways)
    if (call === 'POST /v1/operator/oidc') return json({ location: `${this.url}/sign-in/answer?code=c&state=s&iss=i` })
    if (call === 'POST /v1/operator/oidc/answer')
      return body.code === 'c' && !this.stranger
        ? cookie('operator=1; HttpOnly; Path=/')
        : problem('operator_not_allowed')
    const cookies = request.headers.cookie ?? ''
    const isVisitor = call.includes('/SESSION/') && cookies.includes('visit=')
    if (!isVisitor && !cookies.includes('operator=')) return problem('unauthenticated')
    const resource = call === 'GET /v1/audit' ? this.#audit(request) : this.#resource(call, body)
    if (this.#held && call === 'GET /v1/sessions/SESSION/page') {
      this.#held.count++
      await this.#held.released
    }
    return resource
  }

  #enter({ secret }: Record<string, unknown>): Reply {
    if (secret !== this.#secret) return problem('entry_invalid')
    const { outcome, failure, return_url } = this.session
    if (outcome) {
      const told = failure && { code: failure.code, message: failure.message }
      return json({ end: { outcome, failure: told, return_url, provider_title: this.provider.title } })
    }
    this.#secret = undefined
    const { headers } = cookie(`visit=1; HttpOnly; Path=/v1/sessions/${this.session.id}`)
    const entered = json({ end: null })
    return { ...entered, headers: { ...entered.headers, ...headers } }
  }

  /** As the controller does it: the hard limit moves as far as it may, the others begin anew. */
  #extend({ idle_only }: Record<string, unknown>): Reply {
    const { session } = this
    const most = Date.parse(session.may_extend_until)
    const expiresAt = Date.parse(session.expires_at)
    if (!idle_only && expiresAt >= most) return problem('extension_refused')
    const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString()
    this.session = {
      ...session,
      expires_at: idle_only ? session.expires_at : new Date(Math.min(expiresAt + 900_000, most)).toISOString(),
      idle_expires_at: session.idle_expires_at && inSeconds(this.idleSeconds),
      first_connect_expires_at: session.first_connect_expires_at && inSeconds(300),
    }
    return json(this.session)
  }

  #audit({ url }: IncomingMessage): Reply {
    const asked = new URL(url ?? '/', this.url).searchParams
    const fits = ({ seq, action, actor, target }: AuditEntry): boolean =>
      action === (asked.get('action') ?? action) &&
      actor.kind === (asked.get('actor') ?? actor.kind) &&
      target.id === (asked.get('target') ?? target.id) &&
      seq < Number(asked.get('cursor') ?? Number.POSITIVE_INFINITY)
    const found = this.operator.audit.filter(fits)
    const items = found.slice(0, Number(asked.get('limit')))
    return json({ items, next_cursor: items.length < found.length ? String(items.at(-1)?.seq) : null })
  }

  #resource(call: string, body: Record<string, unknown>): Reply {
    const { operator, session, provider } = this
    const server_time = new Date().toISOString()
    switch (call) {
      case 'GET /v1/sessions/SESSION/page':
        return json({
          session,
          provider,
          asked_by: this.askedBy,
          agreed: this.agreed,
          viewers: this.#viewers(),
          server_time,
          may_paste: true,
          is_yours: this.isOwner,
          idle_seconds: this.idleSeconds,
        })
      case 'POST /v1/sessions/SESSION/tickets': {
        if (body.access === 'control' && !this.isOwner) return problem('control_needs_consent')
        const url = `${this.url.replace('http', 'ws')}/v1/sessions/${session.id}/live?ticket=t`
        return json({ ticket: 't', url, access: body.access, viewer_id: ownViewer, expires_at: server_time })
      }
      case 'POST /v1/sessions/SESSION/agree':
        this.agreed = true
        return { status: 204, headers: {} }
      case 'POST /v1/sessions/SESSION/extend':
        return this.#extend(body)
      case 'POST /v1/sessions/SESSION/capture':
      case 'POST /v1/sessions/SESSION/cancel':
        return json(session)
      case 'POST /v1/sessions':
        return json({ ...session, hosted_url: this.hostedUrl })
      case 'GET /v1/operator':
        return json({ signed_in: true, name: 'Ada Lovelace' })
      case 'POST /v1/operator/sign-out':
        return cookie('operator=; Max-Age=0; Path=/')
      case 'GET /v1/providers':
        return json({ items: operator.providers, problems: operator.problems })
      case 'GET /v1/sessions':
        return json({ items: operator.sessions, next_cursor: null })
      case 'GET /v1/connections':
        return json({ items: operator.connections, next_cursor: null })
      case 'GET /v1/machines':
        return json({ items: operator.machines })
      case 'GET /v1/images':
        return json({ items: operator.images })
      case 'GET /v1/pool':
        return json(operator.pool)
      case 'GET /v1/doctor':
        return json(operator.doctor)
    }
    const [, viewer, action] = /^POST .*\/viewers\/(\w+)\/(ask|control)$/.exec(call) ?? []
    if (viewer) return this.#control(viewer, action === 'ask' || body.give === true, action)
    if (call.endsWith('/diagnosis')) return json(operator.diagnosis)
    if (call.endsWith('/egress')) return json({ session_id: call.split('/')[3], hosts: operator.egress })
    if (!call.startsWith('DELETE /v1/connections/')) return problem('not_found')
    operator.connections = operator.connections.filter(({ id }) => !call.endsWith(id))
    return { status: 204, headers: {} }
  }

  #viewers(): Viewer[] {
    const since = new Date().toISOString()
    const by = this.isOwner ? 'account_owner' : 'operator'
    const own = { id: ownViewer, access: this.access, by, is_you: true, asks_for_control: this.asksForControl, since }
    return [own as Viewer, ...this.others]
  }

  /** As the controller does it, and everybody hears of it. */
  #control(viewer: string, yes: boolean, action: string | undefined): Reply {
    if (action === 'ask') this.asksForControl = true
    else {
      if (yes) this.access = viewer === ownViewer ? 'control' : 'view'
      this.others = this.others.map((other) => {
        const access = yes ? (other.id === viewer ? 'control' : 'view') : other.access
        return { ...other, access, asks_for_control: false }
      })
    }
    this.tell({ watching: this.others.length })
    return json({ viewers: this.#viewers(), max_viewers: 8 })
  }

  async #file(pathname: string): Promise<Reply> {
    const name = fileOf(pathname)
    const body = await readFile(join(this.#root, name)).catch(() => undefined)
    const type = mediaTypes[extname(name)] ?? 'application/octet-stream'
    return body ? { status: 200, headers: { 'content-type': type }, body } : problem('not_found')
  }
}

function fileOf(pathname: string): string {
  if (pathname.startsWith('/connect/')) return 'connect.html'
  return ['/', '/sign-in', '/sign-in/answer'].includes(pathname) ? 'index.html' : pathname
}

interface Reply {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body?: string | Buffer
}

const json = (body: unknown): Reply => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

const cookie = (value: string): Reply => ({ status: 204, headers: { 'set-cookie': value } })

function problem(code: ErrorCode): Reply {
  const { status, title, hint } = errorDefinitions[code]
  const body = { type: `/errors#${code}`, status, title, code, hint, request_id: 'req' }
  return { ...json(body), status, headers: { 'content-type': 'application/problem+json' } }
}

async function jsonOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>
}
