import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { AppError, newId, newToken, Scope } from '@anteroom/base'
import { type AgentClaim, type AgentHello, agentHello, agentPort, agentProtocol, rfbPort } from '@anteroom/contract'
import { openMachine, type Picture } from '@anteroom/rfb'
import { end, isAlive, measureAccelerator, startVmm, tailOf, type Vmm, vmmFiles } from '@anteroom/vmm'
import { type BuildLog, imageBuildFailed } from './build-log.ts'

export interface BootTestSubject {
  readonly kernel: string
  readonly initrd: string
  readonly rootfs: string
  readonly commandLine: string
}

export interface BootTestOptions {
  /** Empty directory for the machine's files. */
  readonly directory: string
  /** Remembers which accelerator works. */
  readonly cacheFile: string
  readonly vmmBinary: string
}

export interface BootTestResult {
  readonly accelerator: 'kvm' | 'tcg'
  /** From the start of the monitor until the agent said that display and browser are up. */
  readonly hello_ms: number
  /** From the same start until the start page was seen on the screen. */
  readonly painted_ms: number
}

/** Emulated on a busy host it took 60 s; a machine that hangs never comes. */
const bootMs = 180_000
const memoryMiB = 1536
const vcpus = 2
/** Nobody: the monitor needs nothing of the host once it has its files. */
const unprivilegedUid = 65534
/** Background of the start page, as it lies in memory: blue, green, red. See recipe/rootfs/opt/anteroom/start.html. */
const startPageColour = 0x3c | (0x23 << 8) | (0x10 << 16)

/**
 * Boots the image as a machine would boot it and waits until a person could use it: agent, display and browser up, the
 * start page on the screen.
 * @throws AppError image_build_failed naming what did not come, vmm_missing
 */
export async function bootTest(
  subject: BootTestSubject,
  options: BootTestOptions,
  log: BuildLog,
  scope: Scope,
): Promise<BootTestResult> {
  const runAs = process.getuid?.() === 0 ? unprivilegedUid : null
  const { vmmBinary: binary, cacheFile, directory } = options
  const { accelerator } = await measureAccelerator({ binary, ...subject, cacheFile, want: 'auto', runAs }, scope)
  await mkdir(directory, { mode: 0o700 })
  const ip = loopbackAddress()
  const startedAt = scope.clock.monotonic()
  const { rootfs, ...boot } = subject
  const origin = { kind: 'boot', ...boot, memoryFile: null } as const
  const machine = { id: newId('machine'), instance: 'imgtst', binary, accelerator, origin, rootfs, memoryMiB, vcpus }
  const network = { kind: 'user', ip, ports: [agentPort, rfbPort] } as const
  const vmm = await startVmm({ ...machine, network, runAs, directory, wanted: 'running' }, scope)
  // In a scope of its own: by then this one is over.
  scope.defer(() => end(vmm.identity, Scope.root('end of the boot test', scope.log, scope.clock)))

  const seen = new Progress()
  const elapsedMs = (): number => Math.round(scope.clock.monotonic() - startedAt)
  try {
    return await scope.run({ name: 'boot test', deadlineMs: bootMs }, async (scope) => {
      await scope.until(() => whileAlive(vmm, seen.helloFrom(ip, scope)), 200)
      const hello_ms = elapsedMs()
      const password = await claim(ip, machine.id, scope)
      await scope.until(() => whileAlive(vmm, seen.paintedAt(ip, password, scope)), 200)
      return { accelerator, hello_ms, painted_ms: elapsedMs() }
    })
  } catch (error) {
    scope.throwIfOver()
    const files = vmmFiles(directory)
    await log.line(`boot test: ${error}\nconsole:\n${await tailOf(files.console, 65_536)}`)
    await log.line(`monitor:\n${await tailOf(files.log, 4096)}`)
    throw await imageBuildFailed(
      `the image does not work: ${error instanceof VmmEnded ? error.message : seen.missing}`,
      log,
    )
  }
}

/** 127.214.x.y, another one for each process that may be testing at the same time. */
const loopbackAddress = (): string => `127.214.${(process.pid >> 8) & 255}.${process.pid & 255}`

class VmmEnded extends Error {}

async function whileAlive<T>(vmm: Vmm, answer: Promise<T>): Promise<T> {
  const settled = await answer
  if (settled === undefined && !(await isAlive(vmm.identity))) throw new VmmEnded('the machine stopped while it booted')
  return settled
}

/** How far the machine has come, asked again and again. */
class Progress {
  #hello: AgentHello | undefined
  #screen: Picture | undefined

  async helloFrom(ip: string, scope: Scope): Promise<true | undefined> {
    const answer = await request(ip, 'GET', '/v1/hello', undefined, scope)
    if (answer === undefined) return undefined
    this.#hello = agentHello.parse(JSON.parse(answer))
    return (this.#hello.display === 'up' && this.#hello.browser === 'up') || undefined
  }

  async paintedAt(ip: string, password: string, scope: Scope): Promise<true | undefined> {
    this.#screen = await attempt(scope, async (scope) =>
      (await openMachine({ ip, port: rfbPort, password }, scope)).read(scope),
    )
    return (this.#screen && shareOf(this.#screen, startPageColour) > 0.5) || undefined
  }

  /** For the error: the first thing that did not come. */
  get missing(): string {
    const hello = this.#hello
    if (!hello) return 'the guest agent does not answer'
    if (hello.protocol !== agentProtocol)
      return `the guest agent speaks protocol ${hello.protocol}, not ${agentProtocol}`
    if (hello.display !== 'up') return `the display (Xtigervnc) is ${hello.display}`
    if (hello.browser !== 'up') return `the browser (Chromium) is ${hello.browser}`
    return this.#screen ? 'the start page is not on the screen' : 'the screen does not answer over RFB'
  }
}

function shareOf({ width, height, pixels }: Picture, colour: number): number {
  let matching = 0
  for (let offset = 0; offset < pixels.length; offset += 4) {
    if ((pixels.readUInt32LE(offset) & 0xffffff) === colour) matching++
  }
  return matching / (width * height)
}

/** Takes the machine as a controller would; gives the RFB password. */
async function claim(ip: string, machineId: string, scope: Scope): Promise<string> {
  const body: AgentClaim = {
    machine_id: machineId,
    secret: newToken(),
    rfb_password: newToken().slice(0, 8),
    now_ms: scope.clock.now(),
    entropy: randomBytes(64).toString('base64url'),
  }
  await scope.until(() => request(ip, 'POST', '/v1/claim', body, scope), 200)
  return body.rfb_password
}

/** The body of a successful answer. */
const request = (ip: string, method: string, path: string, body: unknown, scope: Scope): Promise<string | undefined> =>
  attempt(scope, async (scope) => {
    const response = await fetch(`http://${ip}:${agentPort}${path}`, {
      method,
      signal: scope.signal,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    return response.ok ? await response.text() : undefined
  })

/** undefined when it failed or took too long: the forwards of QEMU accept connections long before the guest does. */
async function attempt<T>(scope: Scope, operation: (scope: Scope) => Promise<T>): Promise<T | undefined> {
  try {
    return await scope.run({ name: 'boot test attempt', deadlineMs: 5_000 }, operation)
  } catch (error) {
    scope.throwIfOver()
    if (error instanceof AppError && error.code !== 'deadline_exceeded') throw error
    return undefined
  }
}
