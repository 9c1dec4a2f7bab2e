import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { AppError, type Scope } from '@anteroom/base'
import { type AgentHello, agentClaim, agentOpen, agentProtocol, agentSettle } from '@anteroom/contract'
import packageJson from '../package.json' with { type: 'json' }
import type { AgentConfig } from './agent-config.ts'
import type { AgentLog } from './agent-log.ts'
import { Browser } from './browser/browser.ts'
import { startDesktop } from './desktop/desktop.ts'
import type { ProcessState } from './desktop/supervised-process.ts'
import { EgressBridge } from './egress-bridge.ts'
import { Claim, renewMachine } from './link/claim.ts'
import { createLinkServer, type LinkRoutes } from './link/link-server.ts'
import { writeRfbPassword } from './link/rfb-password.ts'
import { untilQuiet } from './quiet.ts'
import { SignIn } from './sign-in/sign-in.ts'
import { StatusBoard } from './status-board.ts'

export interface Agent {
  /** Of the link. */
  readonly port: number
  readonly browser: Browser
  close(): Promise<void>
}

const longestWaitMs = 30_000

/** Builds each part once and starts it. The link answers before the display is up: `hello` tells how far it is. */
export async function startAgent(config: AgentConfig, log: AgentLog, scope: Scope): Promise<Agent> {
  const board = new StatusBoard()
  const passwordFile = join(config.runDir, 'rfb.passwd')
  const egress = new EgressBridge(scope)
  const claim = new Claim(async (made, claiming) => {
    if (config.ownsMachine) await renewMachine(made, claiming)
    await writeRfbPassword(passwordFile, made.rfb_password, config.users?.screen)
    log.info({ machine: made.machine_id }, 'claimed')
  })

  await mkdir(config.runDir, { recursive: true, mode: 0o755 })
  // Until the claim nobody knows the password.
  await writeRfbPassword(passwordFile, randomBytes(6).toString('base64'), config.users?.screen)
  const proxyPort = await egress.listen(config.proxyPort)
  const desktop = await startDesktop(config, passwordFile, scope, (state) => {
    board.change({ display: state })
    if (state === 'lost') failOpen(board, 'display_lost')
  })
  const browser = new Browser({ ...config, proxyPort }, desktop, scope, (state) => {
    board.change({ browser: browserState(state) })
    if (state === 'lost') failOpen(board, 'browser_crashed')
  })
  const settle = async (rfbPassword: string, settling: Scope): Promise<void> => {
    await writeRfbPassword(passwordFile, rfbPassword, config.users?.screen)
    await browser.untilUp(settling)
    await untilQuiet(settling)
    log.info({}, 'settled')
  }
  const signIn = new SignIn(browser, board, proxyPort, scope)
  const server = createLinkServer(linkRoutes({ board, claim, signIn, egress, log, settle }), scope)
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
    browser,
    async close() {
      server.close()
      server.closeAllConnections()
      egress.close()
      await browser.wipe()
      await desktop.stop()
    },
  }
}

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
  readonly log: AgentLog
  readonly settle: (rfbPassword: string, scope: Scope) => Promise<void>
}

function linkRoutes({ board, claim, signIn, egress, log, settle }: Parts): LinkRoutes {
  // Before the claim there is nothing to keep secret, and the log says why no claim came.
  const withoutSecret = ['GET /v1/hello', 'POST /v1/claim']
  const beforeClaim = ['GET /v1/log', 'POST /v1/settle']
  return {
    isAuthorised: (authorization, route) =>
      withoutSecret.includes(route) || (beforeClaim.includes(route) && !claim.isMade) || claim.isHolder(authorization),
    egress: (connection) => egress.attach(connection),
    routes: {
      'GET /v1/hello': () => ({ status: 200, content: hello(board, claim) }),
      'POST /v1/claim': async ({ body, scope }) => {
        if (await claim.make(await body(agentClaim), scope)) return { status: 204 }
        return { status: 409, content: { code: 'forbidden', detail: 'this machine was claimed with another secret' } }
      },
      'POST /v1/settle': async ({ body, scope }) => {
        const { rfb_password } = await body(agentSettle)
        // Its holder has the secret, and the screen a password that must stay.
        if (claim.isMade) return { status: 409, content: { code: 'forbidden', detail: 'this machine is claimed' } }
        await settle(rfb_password, scope)
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
