import { connect } from 'node:net'
import type { Scope } from './scope.ts'

const longestAnswer = 4096

/**
 * Sends a line (with its line feed) over a TCP connection of its own; gives the line that comes back (without).
 * @throws system errors, Error when it was closed without an answer or the answer has no end, AppError at the scope's end
 */
export async function askLine({ ip, port }: { ip: string; port: number }, line: string, scope: Scope): Promise<string> {
  const socket = connect({ host: ip, port, noDelay: true })
  try {
    return await scope.race(
      new Promise((resolve, reject) => {
        let answer = ''
        socket.setEncoding('utf8').on('data', (text) => {
          answer += text
          const end = answer.indexOf('\n')
          if (end !== -1) resolve(answer.slice(0, end))
          else if (answer.length > longestAnswer) reject(new Error('the answer has no end'))
        })
        socket.on('error', reject)
        socket.on('close', () => reject(new Error('the connection was closed without an answer')))
        socket.write(line)
      }),
    )
  } finally {
    socket.destroy()
  }
}
