/** The guest's own half of the link and a real browser behind it, against the real egress. */
import { createServer, type Server } from 'node:http'
import { Scope, silentLog, systemClock } from '@anteroom/base'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { EgressBridge } from '../../../guest-agent/src/egress-bridge.ts'
import { openStore } from '../store/store.ts'
import { listen, newSession, socketPair } from './egress.fixture.ts'
import { createEgress } from './egress.ts'

const machineId = `vm_${'a'.repeat(24)}`
const store = await openStore(':memory:')
const session = await newSession(store)
const egress = createEgress({ log: silentLog, clock: systemClock, store })
const bridge = new EgressBridge(Scope.root('guest'))
const pictures = 40
let site: Server
let port: number
let browser: Browser
let page: Page

const connectLink = async (): Promise<void> => {
  const { ours, theirs } = await socketPair()
  egress.attach(
    { machine: machineId, session },
    { allow: ['*.site.test'], hosts: { '*.site.test': '127.0.0.1' } },
    ours,
  )
  bridge.attach(theirs)
}

beforeAll(async () => {
  site = createServer((request, response) => {
    const sockets = `new WebSocket(location.href.replace('http', 'ws'))`
    if (request.url === '/') {
      const images = Array.from({ length: pictures }, (_, n) => `<img src="/${n}.svg">`).join('')
      response.setHeader('Content-Type', 'text/html')
      return response.end(
        `<title>Site</title>${images}<script>const s = ${sockets}; s.onmessage = (e) => { document.title = e.data }</script>`,
      )
    }
    if (request.url === '/upload') {
      let bytes = 0
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      return request.on('end', () => response.end(String(bytes)))
    }
    response.setHeader('Content-Type', 'image/svg+xml')
    return response.end('<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5"/>')
  })
  port = await listen(site)
  new WebSocketServer({ server: site }).on('connection', (socket) => socket.send('said over a WebSocket'))
  await connectLink()
  const proxyPort = await bridge.listen(0)
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      `--proxy-server=http://127.0.0.1:${proxyPort}`,
      '--proxy-bypass-list=<-loopback>',
      '--disable-background-networking',
    ],
  })
  page = await browser.newPage()
})
afterAll(async () => {
  await browser?.close()
  bridge.close()
  egress.detach(machineId)
  site.closeAllConnections()
  site.close()
})

describe('a real browser in the machine', () => {
  test('loads an allowed site with all its parts, and a WebSocket', async () => {
    await page.goto(`http://www.site.test:${port}/`)
    const loaded = await page.$$eval('img', (images) => images.filter((image) => image.naturalWidth > 0).length)
    expect(loaded).toBe(pictures)
    await page.waitForFunction(() => document.title === 'said over a WebSocket')
  })

  test('uploads 10 MB', async () => {
    const answer = await page.evaluate(async () => {
      const response = await fetch('/upload', { method: 'POST', body: new Blob([new Uint8Array(10 * 1024 * 1024)]) })
      return await response.text()
    })
    expect(answer).toBe(String(10 * 1024 * 1024))
  })

  test.each(['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1'])(
    'shows words instead of http://%s',
    async (host) => {
      const response = await page.goto(`http://${host}:${port}/`)
      expect(response?.status()).toBe(403)
      expect(await page.textContent('body')).toMatch(/may not be opened here[\s\S]*egress_denied/)
    },
  )

  test('goes on over a new link when the old one broke', async () => {
    await connectLink()
    await vi.waitFor(() => expect(egress.isAttached(machineId)).toBe(true))
    const response = await page.goto(`http://site.test:${port}/`)
    expect(response?.status()).toBe(200)
    expect(await egress.hostsOf(session)).toContainEqual(
      expect.objectContaining({ host: 'www.site.test', result: 'connected' }),
    )
  })
})
