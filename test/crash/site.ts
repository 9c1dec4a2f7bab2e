import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const host = 'site.crash.test'
const page = `<!doctype html><title>Sign in</title><input autofocus>
<script>addEventListener('load', () => fetch('/shown', { method: 'POST' }))</script>`

/** A site that outlives every controller of a sweep, and the definition of a provider whose people sign in there. */
export interface Site {
  readonly provider: string
  readonly definitions: string
  /** Pages that were seen to be shown. */
  shown(): number
  close(): Promise<void>
}

/** Whoever has been there has its cookie; people say themselves that they are signed in. */
export async function serveSite(): Promise<Site> {
  let shown = 0
  const server = createServer((request, response) => {
    if (request.url === '/shown') {
      shown += 1
      return response.writeHead(204).end()
    }
    response.writeHead(200, {
      'content-type': 'text/html',
      'set-cookie': 'visit=1; Path=/',
      'cache-control': 'no-store',
    })
    response.end(page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const definitions = await mkdtemp(join(tmpdir(), 'anteroom-definitions-'))
  const definition = {
    ...{ name: 'crash-site', title: 'Site', kind: 'website', start_url: `http://${host}:${port}/` },
    ...{ egress: { allow: [host], hosts: { [host]: '127.0.0.1' } }, capture: { cookies: [host] } },
  }
  // JSON is YAML as well.
  await writeFile(join(definitions, 'crash-site.yaml'), JSON.stringify(definition))
  return {
    ...{ provider: definition.name, definitions, shown: () => shown },
    async close() {
      server.closeAllConnections()
      server.close()
      await rm(definitions, { recursive: true })
    },
  }
}
