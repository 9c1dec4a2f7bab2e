import { randomBytes } from 'node:crypto'
import { AppError, askLine, newToken, type Scope } from '@anteroom/base'
import {
  type AgentHello,
  type AgentSettle,
  agentHello,
  agentPort,
  agentProtocol,
  claimLine,
  claimPort,
  rfbPort,
} from '@anteroom/contract'
import { obfuscateRfbPassword, openMachine, type Picture } from '@anteroom/rfb'
import { isAlive, type Vmm } from '@anteroom/vmm'

/** Background of the start page, as it lies in memory: blue, green, red. See packages/image/recipe/rootfs/opt/anteroom/start.html. */
const startPageColour = 0x3c | (0x23 << 8) | (0x10 << 16)
const attemptMs = 5_000
/** Under emulation on a busy host a browser needs this long until it has nothing left to do. */
const settleMs = 120_000
/** Emulated on a busy host an agent answers within 40 s; one that is not there never does. */
const helloMs = 120_000

/** A machine that a build looks after: asked again and again, and it knows for the error how far it has come. */
export class Guest {
  readonly #vmm: Vmm
  readonly #ip: string
  #hello: AgentHello | undefined
  #isSettled = false
  #picture: Picture | undefined

  constructor(vmm: Vmm, ip: string) {
    this.#vmm = vmm
    this.#ip = ip
  }

  /** Resolves when its agent says that display and browser are up; rejects as soon as one of them will not be. */
  async untilUp(scope: Scope): Promise<void> {
    await scope.run({ name: 'agent answers', deadlineMs: helloMs }, (scope) =>
      this.#until(scope, () => this.#askHello(scope)),
    )
    await this.#until(scope, async (scope) => {
      const hello = await this.#askHello(scope)
      // Its agent has started it again and again, and will not any more.
      if (hello?.display === 'lost' || hello?.browser === 'crashed') throw new MachineUseless(this.missing)
      return (hello?.display === 'up' && hello.browser === 'up') || undefined
    })
  }

  async #askHello(scope: Scope): Promise<AgentHello | undefined> {
    const answer = await this.#request('GET', '/v1/hello', undefined, scope)
    if (answer !== undefined) this.#hello = agentHello.parse(JSON.parse(answer))
    return answer === undefined ? undefined : this.#hello
  }

  /** Resolves when it is painted and idle; gives the password with which its screen can be looked at until the claim. */
  async settle(scope: Scope): Promise<string> {
    const password = newToken().slice(0, 8)
    const body: AgentSettle = { rfb_password: obfuscateRfbPassword(password).toString('hex') }
    await this.#until(scope, (scope) => this.#request('POST', '/v1/settle', body, scope, settleMs))
    this.#isSettled = true
    return password
  }

  /** Takes it as a controller would; gives the RFB password. */
  async claim(machineId: string, scope: Scope): Promise<string> {
    const password = newToken().slice(0, 8)
    const claim = claimLine({
      machine_id: machineId,
      secret_digest: randomBytes(32).toString('hex'),
      rfb_password: obfuscateRfbPassword(password).toString('hex'),
      now_ms: scope.clock.now(),
      entropy: randomBytes(64).toString('hex'),
    })
    await this.#until(scope, async (scope) => {
      const answer = await attempt(scope, attemptMs, (scope) =>
        askLine({ ip: this.#ip, port: claimPort }, claim, scope),
      )
      return answer === 'ok' || undefined
    })
    return password
  }

  /** Resolves with the screen when the start page is on it. */
  async untilPainted(password: string, scope: Scope): Promise<Picture> {
    return await this.#until(scope, async (scope) => {
      this.#picture = await attempt(scope, attemptMs, async (scope) =>
        (await openMachine({ ip: this.#ip, port: rfbPort, password }, scope)).read(scope),
      )
      return this.#picture && shareOf(this.#picture, startPageColour) > 0.5 ? this.#picture : undefined
    })
  }

  /** The first thing that did not come. */
  get missing(): string {
    const hello = this.#hello
    if (!hello) return 'the guest agent does not answer'
    if (hello.protocol !== agentProtocol)
      return `the guest agent speaks protocol ${hello.protocol}, not ${agentProtocol}`
    if (hello.display !== 'up') return `the display (Xtigervnc) is ${hello.display}`
    if (hello.browser !== 'up') return `the browser (Chromium) is ${hello.browser}`
    if (!this.#isSettled) return 'the browser does not become idle'
    return this.#picture ? 'the start page is not on the screen' : 'the screen does not answer over RFB'
  }

  async #until<T>(scope: Scope, question: (scope: Scope) => Promise<T | undefined>): Promise<T> {
    return await scope.until(async () => {
      const answer = await question(scope)
      if (answer === undefined && !(await isAlive(this.#vmm.identity))) throw new MachineUseless('the machine stopped')
      return answer
    }, 50)
  }

  /** The body of a successful answer. */
  #request(method: string, path: string, body: unknown, scope: Scope, deadlineMs = attemptMs) {
    return attempt(scope, deadlineMs, async (scope) => {
      const response = await fetch(`http://${this.#ip}:${agentPort}${path}`, {
        method,
        signal: scope.signal,
        ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      })
      return response.ok ? await response.text() : undefined
    })
  }
}

/** It will never be what is waited for; the message says why. */
export class MachineUseless extends Error {}

export function shareOf({ width, height, pixels }: Picture, colour: number): number {
  let matching = 0
  for (let offset = 0; offset < pixels.length; offset += 4) {
    if ((pixels.readUInt32LE(offset) & 0xffffff) === colour) matching++
  }
  return matching / (width * height)
}

/** undefined when it failed or took too long: the forwards of QEMU accept connections long before the guest does. */
async function attempt<T>(
  scope: Scope,
  deadlineMs: number,
  operation: (scope: Scope) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await scope.run({ name: 'question to the machine', deadlineMs }, operation)
  } catch (error) {
    scope.throwIfOver()
    if (error instanceof AppError && error.code !== 'deadline_exceeded') throw error
    return undefined
  }
}
