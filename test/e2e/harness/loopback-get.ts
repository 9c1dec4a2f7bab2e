import { get } from 'node:http'

/** GET of a demo address as JSON: its names mean something in machines only, here they lead to loopback. */
export const loopbackGet = (url: string, headers: Record<string, string> = {}): Promise<Record<string, unknown>> =>
  new Promise((resolve, reject) => {
    const { host, port, pathname, search } = new URL(url)
    const options = { host: '127.0.0.1', port, path: pathname + search, headers: { host, ...headers } }
    const request = get(options, async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      if (response.statusCode === 200) resolve(JSON.parse(text))
      else reject(new Error(`GET ${url}: ${response.statusCode} ${text}`))
    })
    request.on('error', reject)
  })
