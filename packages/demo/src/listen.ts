import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError, systemErrorCode } from '@anteroom/base'

export interface LoopbackServer {
  readonly port: number
  /** Answers requests for `hostname` alone: a page elsewhere must not reach a loopback server by a name of its own (DNS rebinding). */
  serve(hostname: string, listener: RequestListener): void
  close(): Promise<void>
}

/**
 * Listens on 127.0.0.1. Without `port` it takes `preferredPort`, or any free one where that is taken: several controllers
 * share a host. @throws AppError config_invalid when the `port` that was asked for is taken
 */
export async function listenOnLoopback(port: number | undefined, preferredPort: number): Promise<LoopbackServer> {
  const server = createServer()
  try {
    await listen(server, port ?? preferredPort)
  } catch (error) {
    if (systemErrorCode(error) !== 'EADDRINUSE') throw error
    if (port !== undefined)
      throw new AppError('config_invalid', { detail: `port ${port} of the demo is taken`, cause: error })
    await listen(server, 0)
  }
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    serve(hostname, listener) {
      const host = `${hostname}:${address.port}`
      server.on('request', (request, response) => {
        if (request.headers.host === host) return listener(request, response)
        response.writeHead(421, { 'content-type': 'text/plain' }).end(`This server answers for ${host} only.\n`)
      })
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

const listen = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
