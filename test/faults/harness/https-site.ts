import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '@anteroom/base'
import { scope } from './breakable-host.ts'

export interface HttpsSite {
  /** The authority that vouches for it, base64 of DER. */
  readonly authority: string
  readonly port: number
  /** Paths that were asked for. A browser that does not take the certificate asks for none. */
  readonly requests: readonly string[]
  close(): Promise<void>
}

/** On loopback, with a certificate that is good from now on and no authority of the world knows. */
export async function serveHttps(host: string, answer: RequestListener): Promise<HttpsSite> {
  const { key, cert, authority } = await issueCertificate(host)
  const requests: string[] = []
  const server = createServer({ key, cert }, (request, response) => {
    requests.push(request.url ?? '')
    answer(request, response)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    ...{ authority, requests, port: (server.address() as AddressInfo).port },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The same page, whatever is asked for. */
export const onePage =
  (page: string): RequestListener =>
  (_, response) =>
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)

async function issueCertificate(host: string): Promise<{ key: Buffer; cert: Buffer; authority: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'anteroom-certificate-'))
  const at = (name: string): string => join(directory, name)
  const request = (name: string, subject: string, ...more: string[]) =>
    runCommand(scope, 'openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
      ...['-subj', `/CN=${subject}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`), ...more],
    ])
  try {
    await request('authority', 'Authority of a test', '-addext', 'keyUsage=critical,keyCertSign')
    const vouched = ['-CA', at('authority.pem'), '-CAkey', at('authority.key')]
    await request(
      'site',
      host,
      ...vouched,
      '-addext',
      `subjectAltName=DNS:${host}`,
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    )
    const authority = (await readFile(at('authority.pem'), 'utf8')).replace(/-----[^-]+-----|\s/g, '')
    return { key: await readFile(at('site.key')), cert: await readFile(at('site.pem')), authority }
  } finally {
    await rm(directory, { recursive: true })
  }
}
