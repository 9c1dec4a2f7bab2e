import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Anteroom, AnteroomError, type SessionEvent } from './sdk.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

let stop = (): void => {}
afterEach(() => stop())

/** A server that answers the requests one after the other; the last answer goes on. */
async function answering(...answers: [Answer, ...Answer[]]) {
  const seen: IncomingMessage[] = []
  const server = createServer((request, response) => {
    seen.push(request)
    const answer = answers[Math.min(seen.length, answers.length) - 1]
    answer?.(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stop = () => {
    server.close()
    server.closeAllConnections()
  }
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const json =
  (body: object, status = 200): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
const problem =
  (code: string, status: number, headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json', ...headers })
    response.end(JSON.stringify({ code, status, detail: 'as it is', request_id: 'r-1' }))
  }
const broken: Answer = (request) => void request.socket.destroy()
const silent: Answer = () => {}
const session = { id: 'ses_x', status: 'ended', outcome: 'completed' }

const errorOf = async (promise: Promise<unknown>): Promise<AnteroomError> => {
  const error = await promise.catch((thrown: unknown) => thrown)
  if (error instanceof AnteroomError) return error
  throw new Error('it did not end in an AnteroomError', { cause: error })
}

const sample = { provider: 'demo', subject: 'ada' }
const key = 'ark_x'

describe('sent again', () => {
  test('what is refused for the moment, after the time that it says', async () => {
    const { url, seen } = await answering(problem('capacity_exhausted', 429, { 'retry-after': '0' }), json(session))
    expect(await new Anteroom({ url, key }).sessions.create(sample)).toEqual(session)
    expect(seen).toHaveLength(2)
    const keys = seen.map(({ headers }) => headers['idempotency-key'])
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/)
    expect(keys[1]).toBe(keys[0])
  })

  test('at most as often as was said', async () => {
    const { url, seen } = await answering(problem('rate_limited', 429, { 'retry-after': '0' }))
    expect(await errorOf(new Anteroom({ url, key, retries: 3 }).pool())).toMatchObject({
      ...{ code: 'rate_limited', status: 429, retryable: true, retryAfterSeconds: 0, requestId: 'r-1' },
      ...{ detail: 'as it is', message: 'Too many requests: as it is' },
    })
    expect(seen).toHaveLength(4)
  })

  test('not what never helps, says no time, or asks for a long one', async () => {
    for (const answer of [
      problem('not_found', 404, { 'retry-after': '0' }),
      problem('session_not_ready', 409),
      problem('capacity_exhausted', 429, { 'retry-after': '31' }),
    ]) {
      const { url, seen } = await answering(answer)
      await errorOf(new Anteroom({ url, key }).sessions.get('ses_x'))
      expect(seen).toHaveLength(1)
      stop()
    }
  })

  test('what nobody answered, where it cannot be done twice by that', async () => {
    const { url, seen } = await answering(broken, json(session))
    const anteroom = new Anteroom({ url, key })
    expect(await anteroom.sessions.create(sample, { idempotencyKey: 'mine' })).toEqual(session)
    expect(seen.map(({ headers }) => headers['idempotency-key'])).toEqual(['mine', 'mine'])
    stop()
    const second = await answering(broken, json(session))
    const error = await errorOf(new Anteroom({ url: second.url, key }).sessions.extend('ses_x'))
    expect(error.code).toBe('controller_unreachable')
    expect(second.seen).toHaveLength(1)
  })
})

describe('in words', () => {
  test('nobody is there', async () => {
    const { url } = await answering(silent)
    stop()
    const error = await errorOf(new Anteroom({ url, key, retries: 0 }).pool())
    expect(error).toMatchObject({ code: 'controller_unreachable', detail: `${url} does not answer`, requestId: null })
  })

  test('something else is there', async () => {
    const page: Answer = (_request, response) =>
      void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>')
    const { url } = await answering(page)
    const error = await errorOf(new Anteroom({ url, key, retries: 0 }).pool())
    expect(error.code).toBe('controller_unreachable')
    expect(error.detail).toBe(
      `GET ${url}/v1/pool was answered 502 by something that is no Anteroom; is it a proxy in front of it?`,
    )
  })

  test('the answer breaks off', async () => {
    const half: Answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"id":')
      response.socket?.end()
    }
    const { url } = await answering(half)
    const error = await errorOf(new Anteroom({ url, key }).sessions.get('ses_x'))
    expect(error).toMatchObject({ code: 'controller_unreachable', detail: `${url}: the answer broke off` })
  })

  test('it takes too long', async () => {
    const { url } = await answering(silent)
    const error = await errorOf(new Anteroom({ url, key, timeoutMs: 20 }).sessions.list({ subject: 'ada' }))
    expect(error).toMatchObject({ code: 'deadline_exceeded', detail: `GET ${url}/v1/sessions: no answer in 20 ms` })
  })

  test('a newer controller has a code of its own', async () => {
    const { url } = await answering(problem('moon_is_full', 503))
    const error = await errorOf(new Anteroom({ url, key }).pool())
    expect(error).toMatchObject({ code: 'internal', status: 503, retryable: true })
    expect(error.detail).toBe('This version of the SDK does not know the code moon_is_full: as it is')
  })

  test('the caller has gone', async () => {
    const { url } = await answering(silent)
    const reason = new Error('the tab was closed')
    await expect(new Anteroom({ url, key }).pool({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const gone = new AbortController()
    const asked = new Anteroom({ url, key }).pool({ signal: gone.signal })
    gone.abort(reason)
    await expect(asked).rejects.toBe(reason)
  })
})

describe('events', () => {
  const event = (seq: number, data: object) =>
    `id: ${seq}\r\nevent: session\r\ndata: ${JSON.stringify({ seq, type: 'status', data })}\r\n\r\n`
  /** In pieces of a byte each, then the connection is cut. */
  const streaming =
    (text: string): Answer =>
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const byte of Buffer.from(`retry: 1000\n\n: still here\n\n${text}`)) response.write(Buffer.of(byte))
      response.socket?.end()
    }

  test('go on behind the last one after a cut, each once', async () => {
    const { url, seen } = await answering(
      streaming(event(1, { status: 'queued' })),
      streaming(`${event(2, { status: 'ready', title: 'Zürich 🚪' })}id: 3\ndata: {"seq"`),
      streaming(event(3, { status: 'ended' })),
    )
    const got: SessionEvent[] = []
    for await (const one of new Anteroom({ url, key }).sessions.events('ses_x')) got.push(one)
    expect(got.map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(got[1]?.data.title).toBe('Zürich 🚪')
    expect(seen.map(({ headers }) => headers['last-event-id'])).toEqual(['0', '1', '2'])
  })

  test('of what does not exist are an error at once', async () => {
    const { url, seen } = await answering(problem('not_found', 404))
    expect((await errorOf(new Anteroom({ url, key }).sessions.untilEnded('ses_x'))).code).toBe('not_found')
    expect(seen).toHaveLength(1)
  })

  test('end with the signal of whoever listens', async () => {
    const { url } = await answering(streaming(event(1, { status: 'queued' })))
    const gone = new AbortController()
    const events = new Anteroom({ url, key }).sessions.events('ses_x', { signal: gone.signal })
    await events.next()
    const reason = new Error('enough')
    gone.abort(reason)
    await expect(events.next()).rejects.toBe(reason)
  })
})
