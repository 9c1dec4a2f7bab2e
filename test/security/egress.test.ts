import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { networkInterfaces } from 'node:os'
import { type Log, silentLog, systemClock } from '@anteroom/base'
import { afterAll, beforeAll } from 'vitest'
import { Guest, newSession, socketPair } from '../../packages/controller/src/egress/egress.fixture.ts'
import { createEgress, type EgressPolicy } from '../../packages/controller/src/egress/egress.ts'
import { createResolver } from '../../packages/controller/src/egress/resolver.ts'
import { openStore, type Store } from '../../packages/controller/src/store/store.ts'
import { NameServer, typeA } from '../../packages/controller/test/name-server.ts'
import { attemptTable, type Tally } from './harness/attempts.ts'
import { PublicSite, publicIp } from './harness/public-site.ts'

/** What must not be reached: on every address of this host. */
let inside: Server
let port: number
let reached = 0
let site: PublicSite
let nameServer: NameServer
let servers: string[]
let store: Store
let logLines = 0
const count = (): void => void logLines++
const log: Log = { ...silentLog, info: count, warn: count, child: () => log }

beforeAll(async () => {
  inside = createServer((_, response) => {
    reached++
    response.end('inside')
  })
  inside.on('connection', () => void reached++)
  await once(inside.listen(0, '::'), 'listening')
  port = (inside.address() as { port: number }).port
  site = await PublicSite.open()
  nameServer = new NameServer()
  servers = [await nameServer.open()]
  store = await openStore(':memory:')
})
afterAll(async () => {
  inside.close()
  nameServer.close()
  await site.close()
  await store.close()
})

/** A machine's own end of the proxy; its policy allows what is asked for, by name. */
async function machineWith(policy: EgressPolicy) {
  const session = await newSession(store)
  const egress = createEgress({ log, clock: systemClock, store, resolve: createResolver({ servers }) })
  const { ours, theirs } = await socketPair()
  egress.attach({ machine: `vm_${session.slice(4)}`, session }, policy, ours)
  const guest = new Guest(theirs)
  return {
    ...{ egress, guest, session },
    async [Symbol.asyncDispose]() {
      guest.session.destroy()
      await egress.close()
    },
  }
}

const get = (url: string) => `GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`

/** By a tunnel and by a plain request; through is what was reached, or not answered as a refusal. */
async function tryToReach(tally: Tally, guest: Guest, variant: string, authority: string): Promise<void> {
  await tally.try(`${variant} ${authority}, tunnel`, async () => {
    const before = reached
    const answer = await guest.tunnel(authority).then(
      () => 'a tunnel',
      (error: Error) => error.message,
    )
    return reached > before || !/^HTTP\/1.1 (400|403) /.test(answer) ? answer : undefined
  })
  await tally.try(`${variant} ${authority}, request`, async () => {
    const before = reached
    const answer = await guest.ask(get(`http://${authority}/`))
    return reached > before || !/^HTTP\/1.1 (400|403) /.test(answer) ? answer : undefined
  })
}

const notations: Record<string, readonly string[]> = {
  loopback: ['127.0.0.1', '127.1', '127.213.0.2', '127.0.0.1.', 'localhost', 'localhost.', 'LOCALHOST'],
  'decimal, octal and hexadecimal': ['2130706433', '017700000001', '0x7f000001', '0177.0.0.1', '0x7f.0.0.1', '127.0.1'],
  'other digits and escapes': ['１２７.0.0.1', '①②⑦.0.0.1', '%31%32%37.0.0.1', '127。0。0。1'],
  'addresses that are none yet': ['0', '0.0.0.0', '[::]', '[0:0:0:0:0:0:0:0]'],
  IPv6: ['[::1]', '[0:0:0:0:0:0:0:1]', '[::1%25lo]', '[fe80::1]', '[fd00::1]', '[ff02::1]'],
  'IPv4 inside IPv6': [
    ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]'],
    ...['[64:ff9b::127.0.0.1]', '[2002:7f00:1::]', '[2001:0:4136:e378::]'],
  ],
  metadata: ['169.254.169.254', '2852039166', '0xa9fea9fe', '168.63.129.16', '100.100.100.200', '[fd00:ec2::254]'],
  private: ['10.213.0.2', '172.16.0.1', '172.16.0.2', '192.168.1.1', '100.64.0.1', '198.18.0.1', '224.0.0.1'],
  'credentials and a second host': ['allowed.test@127.0.0.1', '127.0.0.1#allowed.test', 'allowed.test\\@127.0.0.1'],
}

attemptTable('egress', [
  {
    id: 'A4',
    attempt:
      'through the proxy to this host, other machines, metadata and private ranges, in every notation, though the policy names them',
    refusal: '`egress_denied`: 403, or 400 for what is no address',
    async run(tally) {
      const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
      const ownHosts = own.map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address))
      for (const [kind, hosts] of Object.entries({ ...notations, 'addresses of this host': ownHosts })) {
        const allow = hosts.flatMap((host) => [host, host.replace(/^\[|\]$/g, '')])
        const machine = await machineWith({ allow: [...allow, '127.0.0.1', '::1', 'localhost'], ports: [port] })
        await using _ = machine
        for (const host of hosts) await tryToReach(tally, machine.guest, kind, `${host}:${port}`)
      }
    },
  },
  {
    id: 'A4',
    attempt: 'by a name whose name server answers with inner addresses, or with another one each time (DNS rebinding)',
    refusal: 'what is judged is what is connected to: each connection asks once; 403, or the public server',
    async run(tally) {
      const machine = await machineWith({ allow: ['*.rebind.test'], ports: [port] })
      await using _ = machine
      const bytes = (address: string) => Buffer.from(address.split('.').map(Number))
      for (const address of ['127.0.0.1', '10.213.0.2', '169.254.169.254', '172.16.0.2', '0.0.0.0']) {
        nameServer.answer = (_name, type) => (type === typeA ? [bytes(address)] : [])
        await tryToReach(tally, machine.guest, `a name for ${address}`, `inner.rebind.test:${port}`)
      }
      const mapped = Buffer.from('00000000000000000000ffff7f000001', 'hex')
      nameServer.answer = (_name, type) => (type === typeA ? [] : [mapped])
      await tryToReach(tally, machine.guest, 'a name for ::ffff:127.0.0.1', `mapped.rebind.test:${port}`)
      for (const first of [publicIp, '127.0.0.1'])
        for (let round = 0; round < 4; round++) {
          let asked = 0
          nameServer.answer = (_name, type) => {
            if (type !== typeA) return []
            return [bytes(asked++ % 2 === 0 ? first : first === publicIp ? '127.0.0.1' : publicIp)]
          }
          await tally.try(`first ${first}, then the other, round ${round}`, async () => {
            const before = reached
            const answer = await machine.guest.ask(get(`http://flips${round}.rebind.test/`))
            if (reached > before || asked !== 1) return `${asked} questions: ${answer}`
            // The public server is where a machine may go: that it is reached shows that the attack was a real one.
            const expected = first === publicIp ? /^HTTP\/1.1 200 .*public$/s : /^HTTP\/1.1 403 /
            return expected.test(answer) ? undefined : answer
          })
        }
    },
  },
  {
    id: 'A4',
    attempt: 'by a redirect of an allowed site, and of one redirect to the next',
    refusal: 'the proxy follows none; where one leads is judged like any other request: 403',
    async run(tally) {
      nameServer.answer = (_name, type) => (type === typeA ? [Buffer.from(publicIp.split('.').map(Number))] : [])
      const machine = await machineWith({ allow: ['site.test'], ports: [port] })
      await using _ = machine
      const inner = ['127.0.0.1', '2130706433', '[::1]', '169.254.169.254', '10.213.0.2', 'localhost']
      for (const host of inner)
        await tally.try(`to ${host}`, async () => {
          const before = reached
          const chain = `http://site.test/?to=${encodeURIComponent(`http://${host}:${port}/`)}`
          let url = `http://site.test/?to=${encodeURIComponent(chain)}`
          let answer = ''
          for (let hop = 0; hop < 3; hop++) {
            answer = await machine.guest.ask(get(url))
            url = /^location: (\S+)/im.exec(answer)?.[1] ?? url
          }
          return reached > before || !answer.startsWith('HTTP/1.1 403 ') ? `${url}: ${answer}` : undefined
        })
    },
  },
  {
    id: 'A6',
    attempt:
      'a guest asks for thousands of names, to fill memory, database and log, and for slow ones, to hold up the names of others',
    refusal: 'two hundred hosts are told apart, the rest is one line; another machine is answered meanwhile',
    async run(tally) {
      await using flooder = await machineWith({ allow: ['*.slow.test'], ports: [port] })
      await using other = await machineWith({ allow: ['site.test'] })
      const lines = logLines
      for (let n = 0; n < 1000; n += 50)
        await Promise.all(
          Array.from({ length: 50 }, (_, m) => flooder.guest.tunnel(`n${n + m}.test:443`).catch(() => {})),
        )
      await tally.try('a thousand names', async () => {
        const hosts = await flooder.egress.hostsOf(flooder.session)
        const told = logLines - lines
        return hosts.length <= 201 && told <= 201 ? undefined : `${hosts.length} rows, ${told} lines of log`
      })
      nameServer.answer = (name, type) =>
        name.endsWith('.slow.test') ? null : type === typeA ? [Buffer.from(publicIp.split('.').map(Number))] : []
      let given = 0
      for (let n = 0; n < 100; n++) void flooder.guest.tunnel(`s${n}.slow.test:443`).catch(() => void given++)
      await tally.try('a hundred slow names', async () => {
        const answer = await other.guest.ask(get('http://site.test/'))
        return answer.endsWith('public') && given === 0 ? undefined : `${given} slow names came back first: ${answer}`
      })
    },
  },
])
