import type { FastifyRequest } from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { Proxies } from './proxies.ts'
import { startEdge } from './test/running-edge.ts'

const at = (host: string, more: object = {}) => ({
  listen: { host, port: 0, ...more },
  public_url: 'https://a.example',
})
const tls = { certificate_file: 'a', key_file: 'b' }

test.each([
  ['alone on loopback', { listen: { host: '127.0.0.1', port: 0 } }, [], ['127.0.0.1', '::1', '10.0.0.5']],
  ['behind a proxy on this host', at('127.0.0.1'), ['127.0.0.1', '::1', '::ffff:127.0.0.1'], ['10.0.0.5']],
  [
    'behind named ones',
    at('::', { proxies: ['10.0.0.5', '10.1.0.0/16', 'fd00::/64'] }),
    ['10.0.0.5', '::ffff:10.0.0.5', '10.1.2.3', 'fd00::9', '127.0.0.1'],
    ['10.0.0.6', 'fd01::9', '', 'unknown'],
  ],
  ['with TLS of its own', at('0.0.0.0', { tls }), [], ['127.0.0.1', '10.0.0.5']],
])('%s: who is believed', (_, config, believed, others) => {
  const proxies = new Proxies(config)
  for (const address of believed) expect([address, proxies.isBelieved(address)]).toEqual([address, true])
  for (const address of others) expect([address, proxies.isBelieved(address)]).toEqual([address, false])
})

test('past named proxies nobody comes in, unless it is over TLS', () => {
  const from = (remoteAddress: string) => ({ socket: { remoteAddress } }) as FastifyRequest
  const proxies = ['10.0.0.5']
  const behind = new Proxies(at('0.0.0.0', { proxies }))
  expect(() => behind.requireProxy(from('10.0.0.6'))).toThrow('Only the reverse proxies in listen.proxies')
  for (const address of ['10.0.0.5', '127.0.0.1', '::ffff:127.0.0.1']) behind.requireProxy(from(address))
  new Proxies(at('0.0.0.0', { proxies, tls })).requireProxy(from('10.0.0.6'))
})

test('limits count the person behind a proxy that is believed, and whatever others claim is their own', async () => {
  const edge = await startEdge({ publicUrl: 'https://anteroom.example' })
  onTestFinished(() => edge.stop())
  const alone = await startEdge()
  onTestFinished(() => alone.stop())
  const get = async (of: typeof edge, client: string) =>
    (await of.http.app.inject({ url: '/healthz', headers: { host: 'localhost', 'x-forwarded-for': client } }))
      .statusCode
  for (const of of [edge, alone]) for (let sent = 0; sent < 3000; sent++) await get(of, '192.0.2.1')
  expect([await get(edge, '192.0.2.1'), await get(edge, '192.0.2.2')]).toEqual([429, 200])
  expect(await get(alone, '192.0.2.2')).toBe(429)
})
