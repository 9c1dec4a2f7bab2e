import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { AppError, type Scope } from '@anteroom/base'
import { type AgentHello, agentOpen, agentProtocol, agentSettle } from '@anteroom/contract'
import packageJson from '../package.json' with { type: 'json' }
import type { AgentConfig } from './agent-config.ts'
import type { AgentLog } from './agent-log.ts'
import { Browser } from './browser/browser.ts'
import { startDesktop } from './desktop/desktop.ts'
import type { ProcessState } from './desktop/supervised-process.ts'
import { EgressBridge } from './egress-bridge.ts'
import { Claim } from './link/claim.ts'
import { ClaimDaemon } from './link/claim-daemon.ts'
import { createLinkServer, type LinkRoutes } from './link/link-server.ts'
import { RfbPasswordFile } from './link/rfb-password-file.ts'
import { untilQuiet } from './quiet.ts'
import { SignIn } from './sign-in/sign-in.ts'
import { StatusBoard } from './status-board.ts'

export interface Agent {
  /** Of the link. */
  readonly port: number
  readonly claimPort: number
  readonly browser: Browser
  close(): Promise<void>
}

const longestWaitMs = 30_000

/** Builds each part once and starts it. The link answers before the display is up: `hello` tells how far it is. */
export async function startAgent(config: AgentConfig, log: AgentLog, scope: Scope): Promise<Agent> {
  const board = new StatusBoard()
  const egress = new EgressBridge(scope)
  const rfbPassword = new RfbPasswordFile(join(config.runDir, 'rfb.passwd'), config.users?.screen)
  const claim = new Claim()
  await mkdir(config.runDir, { recursive: true, mode: 0o755 })
  // Until the claim nobody knows the password.
  await rfbPassword.write(randomBytes(8))
  const proxyPort = await egress.listen(config.proxyPort)
  const desktop = await startDesktop(config, rfbPassword.path, scope, (state) => {
    board.change({ display: state })
    if (state === 'lost') failOpen(board, 'display_lost')
  })
  const browser = new Browser({ ...config, proxyPort }, desktop, scope, (state) => {
    board.change({ browser: browserState(state) })
    if (state === 'lost') failOpen(board, 'browser_crashed')
  })
  const signIn = new SignIn({ browser, board, egress, proxyPort }, scope)
  const claims = await ClaimDaemon.start(
    {
      program: config.programs.claimDaemon,
      ...{ host: config.link.host, port: config.link.claimPort },
      ...{ passwordFile: rfbPassword.path, renewsMachine: config.ownsMachine },
    },
    ({ machineId, secretDigest }) => {
      claim.make(secretDigest)
      browser.renew()
      log.info({ machine: machineId, ...namesOfMachine() }, 'claimed')
    },
    scope,
  )
  const server = createLinkServer(linkRoutes({ board, claim, signIn, egress, browser, rfbPassword, log }), scope)
  await scope.race(
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(config.link.port, config.link.host, resolve)
    }),
  )
  await browser.start()
  const { port } = server.address() as AddressInfo
  log.info({ port, version: packageJson.version }, 'the agent listens')
  return {
    port,
    claimPort: claims.port,
    browser,
    async close() {
      server.close()
      server.closeAllConnections()
      egress.close()
      claims.stop()
      await browser.wipe()
      await desktop.stop()
    },
  }
}

/** What tells this machine from others, as any program in it sees it. */
const namesOfMachine = () => ({
  host_name: hostname(),
  os_machine_id: readLine('/etc/machine-id'),
  boot_id: readLine('/proc/sys/kernel/random/boot_id'),
})

const readLine = (path: string): string => readFileSync(path, 'utf8').trim()

const browserState = (state: ProcessState): AgentHello['browser'] => (state === 'lost' ? 'crashed' : state)

function failOpen(board: StatusBoard, code: 'display_lost' | 'browser_crashed'): void {
  if (!['opening', 'waiting', 'signed_in'].includes(board.current.phase)) return
  board.change({ phase: 'failed', failure: { code, detail: 'it ended too often in a row' } })
}

interface Parts {
  readonly board: StatusBoard
  readonly claim: Claim
  readonly signIn: SignIn
  readonly egress: EgressBridge
  readonly browser: Browser
  readonly rfbPassword: RfbPasswordFile
  readonly log: AgentLog
}

function linkRoutes(parts: Parts): LinkRoutes {
  const { board, claim, signIn, egress, log } = parts
  // Before the claim there is nothing to keep secret, and the log says why no claim came.
  const withoutSecret = ['GET /v1/hello']
  const beforeClaim = ['GET /v1/log', 'POST /v1/settle']
  return {
    isAuthorised: (authorization, route) =>
      withoutSecret.includes(route) || (beforeClaim.includes(route) && !claim.isMade) || claim.isHolder(authorization),
    egress: (connection) => egress.attach(connection),
    routes: {
      'GET /v1/hello': () => ({ status: 200, content: hello(board, claim) }),
      'POST /v1/settle': async ({ body, scope }) => {
        const { rfb_password } = await body(agentSettle)
        // Its holder has the secret, and the screen a password that must stay.
        if (claim.isMade) return { status: 409, content: { code: 'forbidden', detail: 'this machine is claimed' } }
        await settle(parts, rfb_password, scope)
        return { status: 204 }
      },
      'POST /v1/open': async ({ body }) => {
        signIn.open(await body(agentOpen))
        return { status: 202 }
      },
      'GET /v1/status': async ({ query, scope }) => {
        const after = wholeNumber(query, 'after')
        const waitMs = Math.min(wholeNumber(query, 'wait_ms'), longestWaitMs)
        return { status: 200, content: await board.beyond(after, waitMs, scope) }
      },
      'POST /v1/signed-in': () => {
        signIn.confirm()
        return { status: 204 }
      },
      'POST /v1/capture': async () => ({ status: 200, content: await signIn.capture() }),
      'POST /v1/wipe': async () => {
        await signIn.wipe()
        return { status: 204 }
      },
      'GET /v1/log': () => ({ status: 200, content: log.tail() }),
    },
  }
}

/** An OpenSSL generator reseeds when the clock has moved by more than an hour; the machine boots with it in the year 2000. */
const latestSavedMs = Date.UTC(2001)

/** Brings the machine to where it can be saved: nothing left to do, and nothing in it that its copies could not renew. */
async function settle({ browser, rfbPassword, log }: Parts, password: string, scope: Scope): Promise<void> {
  if (Date.now() > latestSavedMs)
    throw new AppError('internal', { detail: 'the clock is not behind: OpenSSL would not reseed' })
  await rfbPassword.write(Buffer.from(password, 'hex'))
  await browser.untilUp(scope)
  await untilQuiet(scope)
  await browser.endSpareRenderers(scope)
  await browser.freeze(scope)
  log.info({}, 'settled')
}

const hello = (board: StatusBoard, claim: Claim): AgentHello => ({
  agent: 'anteroom',
  protocol: agentProtocol,
  version: packageJson.version,
  claimed: claim.isMade,
  display: board.current.display,
  browser: board.current.browser,
})

function wholeNumber(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '0'
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new AppError('invalid_request', { detail: `${name} must be a whole number` })
}
