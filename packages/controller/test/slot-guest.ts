import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { runCommand, Scope } from '@anteroom/base'
import { type Slot, tapNames } from '../src/host/host.ts'
import { guestIp, guestPeerIp } from '../src/host/slot.ts'

const scope = Scope.root('slot guest')
const ip = (...args: string[]) => runCommand(scope, 'ip', args)

/** How an attempt to connect ended. */
export type Reached = 'connected' | 'refused' | 'no answer'
export interface Target {
  readonly ip: string
  readonly port: number
  /** Address that its packets say they come from; left out: its own. */
  readonly from?: string
}

const listener = `
const { createServer } = require('node:net')
const ports = JSON.parse(process.argv[1])
let open = 0
for (const port of ports)
  createServer((socket) => { socket.on('error', () => {}); socket.end('guest\\n') })
    .listen(port, '0.0.0.0', () => { if (++open === ports.length) console.log('listening') })
`

const dialler = `
const { connect } = require('node:net')
const [targets, waitMs] = JSON.parse(process.argv[1])
const dial = ({ ip, port, from }) => new Promise((resolve) => {
  const socket = connect({ host: ip, port, timeout: waitMs, ...(from && { localAddress: from }) })
  const end = (how) => { socket.destroy(); resolve(how) }
  socket.once('connect', () => end('connected'))
  socket.once('timeout', () => end('no answer'))
  socket.once('error', () => end('refused'))
})
Promise.all(targets.map(dial)).then((all) => console.log(JSON.stringify(all)))
`

/**
 * Programs at the guest's place of a tap slot, without a machine: the tap is replaced by a link of its name to one more namespace,
 * so that everything between there and the host is what a machine has.
 */
export class SlotGuest {
  readonly #namespace: string
  readonly #slotNamespace: string
  readonly #programs: ChildProcess[] = []

  private constructor(slot: Slot, tag: string) {
    this.#slotNamespace = tapNames(tag, slot.index).namespace
    this.#namespace = `guest-${this.#slotNamespace}`
  }

  /** On a slot that is prepared. `defaultRoute`: a guest that does not keep to its network. */
  static async on(slot: Slot, tag: string): Promise<SlotGuest> {
    const guest = new SlotGuest(slot, tag)
    const { tap } = tapNames(tag, slot.index)
    const slotNamespace = guest.#slotNamespace
    const namespace = guest.#namespace
    await ip('netns', 'add', namespace)
    await ip('-n', slotNamespace, 'link', 'delete', tap)
    await ip('-n', slotNamespace, 'link', 'add', tap, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
    await ip('-n', slotNamespace, 'addr', 'add', `${guestPeerIp}/30`, 'dev', tap)
    await ip('-n', slotNamespace, 'link', 'set', tap, 'up')
    await ip('-n', namespace, 'addr', 'add', `${guestIp}/30`, 'dev', 'eth0')
    await ip('-n', namespace, 'link', 'set', 'lo', 'up')
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up')
    await ip('-n', namespace, 'route', 'add', 'default', 'via', guestPeerIp)
    return guest
  }

  /** Answers whoever connects, with the line "guest". */
  async listen(ports: readonly number[]): Promise<void> {
    const program = spawn('ip', ['netns', 'exec', this.#namespace, ...node(listener, ports)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#programs.push(program)
    await once(program.stdout, 'data')
  }

  /** What the guest reaches, as the user root of its namespace. */
  dial(targets: readonly Target[], waitMs = 500): Promise<Reached[]> {
    return dialIn(this.#namespace, targets, waitMs)
  }

  /** What a monitor in the slot's own namespace reaches. */
  dialFromMonitor(targets: readonly Target[], waitMs = 500): Promise<Reached[]> {
    return dialIn(this.#slotNamespace, targets, waitMs)
  }

  /** Lets it write another address into its packets, for a while. */
  async take(address: string): Promise<AsyncDisposable> {
    const change = (how: 'add' | 'delete') => ip('-n', this.#namespace, 'addr', how, `${address}/32`, 'dev', 'eth0')
    await change('add')
    return { [Symbol.asyncDispose]: async () => void (await change('delete')) }
  }

  async close(): Promise<void> {
    for (const program of this.#programs) {
      program.kill('SIGKILL')
      if (program.exitCode === null && program.signalCode === null) await once(program, 'exit')
    }
    await ip('netns', 'delete', this.#namespace)
  }
}

async function dialIn(namespace: string, targets: readonly Target[], waitMs: number): Promise<Reached[]> {
  const { stdout } = await ip('netns', 'exec', namespace, ...node(dialler, [targets, waitMs]))
  return JSON.parse(stdout)
}

const node = (program: string, argument: unknown): string[] => [
  process.execPath,
  '-e',
  program,
  JSON.stringify(argument),
]

/** What a process of another user of this host reaches; bash, because that user may not be able to read this Node. */
export async function dialAs(uid: number, { ip, port }: Target): Promise<Reached> {
  const words = ['2', 'bash', '-c', 'exec 3<>"/dev/tcp/$0/$1" && read -r -t 1 line <&3; true', ip, String(port)]
  const program = spawn('timeout', words, { uid, gid: uid, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  program.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  await once(program, 'close')
  if (program.exitCode === 124) return 'no answer'
  return /\/dev\/tcp\//.test(said) ? 'refused' : 'connected'
}
