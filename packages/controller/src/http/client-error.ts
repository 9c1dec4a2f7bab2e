import type { Socket } from 'node:net'
import { AppError, type Log, newId, systemErrorCode } from '@anteroom/base'
import { problemOf, problemType } from './problem.ts'

/** Answers what could not even be parsed as HTTP, then closes the connection. */
export function answerClientError(error: Error, socket: Socket, log: Log): void {
  if (systemErrorCode(error) === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem = problemOf(
    new AppError('invalid_request', { detail: 'This is not HTTP/1.1, or its headers are too large or too slow.' }),
    newId('request'),
  )
  log.info({ request: problem.request_id, status: problem.status, why: systemErrorCode(error) }, 'not a request')
  const body = JSON.stringify(problem)
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
      `Content-Type: ${problemType}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
