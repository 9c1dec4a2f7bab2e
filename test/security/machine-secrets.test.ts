import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, Scope } from '@anteroom/base'
import { connectToMachine, obfuscateRfbPassword, readExactly } from '@anteroom/rfb'
import { afterAll, beforeAll } from 'vitest'
import { machineSecrets } from '../../packages/controller/src/agent/agent.ts'
import { Claim } from '../../packages/guest-agent/src/link/claim.ts'
import { createLinkServer } from '../../packages/guest-agent/src/link/link-server.ts'
import { attemptTable } from './harness/attempts.ts'

const scope = Scope.root('machine secrets')
const vaultKey = randomBytes(32)
const secretsUnder = (key: Buffer, id: string) =>
  machineSecrets((label) => createHmac('sha256', key).update(label).digest(), id)
const id = newId('machine')
const own = secretsUnder(vaultKey, id)
/** What somebody may have: secrets of another machine, of a vault that was replaced, the other secret, none. */
const wrong: Record<string, { readonly agent: string; readonly rfb: string }> = {
  'of another machine': secretsUnder(vaultKey, newId('machine')),
  'of another vault': secretsUnder(randomBytes(32), id),
  'mixed up': { agent: own.rfb, rfb: own.agent.slice(0, 8) },
  'cut short': { agent: own.agent.slice(0, -1), rfb: own.rfb.slice(0, -1) },
  'in other case': { agent: own.agent.toUpperCase(), rfb: swapCase(own.rfb) },
  empty: { agent: '', rfb: '' },
  'its own name': { agent: id, rfb: id.slice(0, 8) },
}

function swapCase(text: string): string {
  const swapped = [...text].map((letter) =>
    letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase(),
  )
  return swapped.join('') === text ? `${text.slice(0, -1)}!` : swapped.join('')
}

let directory: string
let link: Server
let calls = 0
let screen: ChildProcess
let screenPort: number

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  return port
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-secrets-'))
  const claim = new Claim()
  claim.make(createHash('sha256').update(own.agent).digest())
  const answer = () => {
    calls++
    return { status: 200, content: 'what only the controller may have' }
  }
  const routes = Object.fromEntries(paths.map(([method, path]) => [`${method} ${path}`, answer]))
  const egress = (socket: { end(): void }) => {
    calls++
    socket.end()
  }
  link = createLinkServer({ isAuthorised: (header) => claim.isHolder(header), routes, egress }, scope)
  await once(link.listen(0, '127.0.0.1'), 'listening')
  await writeFile(join(directory, 'password'), obfuscateRfbPassword(own.rfb), { mode: 0o600 })
  screenPort = await freePort()
  const options = `-displayfd 3 -rfbport ${screenPort} -localhost -SecurityTypes VncAuth -geometry 320x240 -depth 24 -nolisten tcp`
  screen = spawn('Xtigervnc', [...options.split(' '), '-rfbauth', join(directory, 'password')], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  await once(screen.stdio[3] as NodeJS.ReadableStream, 'data')
})
afterAll(async () => {
  link.closeAllConnections()
  link.close()
  screen.kill()
  await once(screen, 'exit')
  await rm(directory, { recursive: true })
})

const paths = [
  ['POST', '/v1/open'],
  ['GET', '/v1/status'],
  ['POST', '/v1/capture'],
  ['POST', '/v1/wipe'],
  ['GET', '/v1/log'],
] as const

const ask = (method: string, path: string, headers: Record<string, string>) =>
  fetch(`http://127.0.0.1:${(link.address() as { port: number }).port}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(method === 'POST' && { body: '{}' }),
  })

/** Up to the first thing that only somebody who was let in is told. */
async function entersScreen(password: string): Promise<boolean> {
  return await scope
    .run({ name: 'screen', deadlineMs: 10_000 }, async (inner) => {
      const machine = await connectToMachine({ ip: '127.0.0.1', port: screenPort, password }, inner)
      inner.defer(() => void machine.destroy())
      machine.write(Buffer.of(1))
      await readExactly(machine, 24, inner)
      return true
    })
    .catch(() => false)
}

attemptTable('machine-secrets', [
  {
    id: 'A5',
    attempt:
      'a process of the controller’s own user, or of root, which no firewall tells apart, speaks to a machine’s agent',
    refusal: '401: each machine has a secret of its own, which only the vault’s key gives',
    async run(tally) {
      const headers = (bearer: string) => ({ authorization: `Bearer ${bearer}` })
      if ((await ask('GET', '/v1/log', headers(own.agent))).status !== 200)
        throw new Error('its own secret does not open')
      for (const [method, path] of paths) {
        const tries = Object.entries(wrong).map(([what, { agent }]) => [what, headers(agent)] as const)
        const basic = `Basic ${Buffer.from(`anteroom:${own.agent}`).toString('base64')}`
        for (const [what, sent] of [
          ...tries,
          ['none', {}] as const,
          ['by another scheme', { authorization: basic }] as const,
        ])
          await tally.try(`${what}`, async () => {
            const before = calls
            const { status } = await ask(method, path, sent)
            return status === 401 && calls === before ? undefined : `${method} ${path}: ${status}`
          })
      }
    },
  },
  {
    id: 'A5',
    attempt: 'the same process opens a machine’s screen',
    refusal: 'refused by the server: each machine has a password of its own',
    async run(tally) {
      if (!(await entersScreen(own.rfb))) throw new Error('its own password does not open')
      for (const [what, { rfb }] of Object.entries(wrong))
        await tally.try(what, async () => ((await entersScreen(rfb)) ? 'the screen' : undefined))
    },
  },
])
