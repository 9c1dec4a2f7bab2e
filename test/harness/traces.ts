import { readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { runCommand, Scope } from '@anteroom/base'
import { agentPort, claimPort, rfbPort } from '@anteroom/contract'
import { instanceTag } from '../../packages/controller/src/host/host.ts'

export interface Traces {
  /** Processes that name the machine on their command line. */
  readonly processes: readonly number[]
  readonly namespaces: readonly string[]
  readonly links: readonly string[]
  /** The machine's own directory in the state directory. */
  readonly directories: readonly string[]
  /** Ports of its address that answer; of a loopback address only: another one, without its link, is somebody else's. */
  readonly ports: readonly number[]
}

export const noTraces: Traces = { processes: [], namespaces: [], links: [], directories: [], ports: [] }

export interface MachinePlace {
  readonly id: string
  readonly ip: string
  readonly home: string
  /** Part of the name of everything that this controller makes on the host. */
  readonly instance: string
}

/** What the kernel itself says is there of a machine; nothing is asked of the controller. */
export async function tracesOf({ id, ip, home, instance }: MachinePlace): Promise<Traces> {
  const ours = (names: readonly string[]): string[] => names.filter((name) => name.includes(instance))
  const ports = ip.startsWith('127.') ? [agentPort, claimPort, rfbPort] : []
  const answers = await Promise.all(ports.map((port) => answersOn(ip, port)))
  return {
    processes: (await processesNaming(`anteroom-${id}`)).map(({ pid }) => pid),
    namespaces: ours(await namesIn('/run/netns')),
    links: ours(await namesIn('/sys/class/net')),
    directories: (await namesIn(join(home, 'machines'))).filter((name) => name.includes(id)),
    ports: ports.filter((_, index) => answers[index]),
  }
}

/** Tables of the host's firewall that are a controller's; where only root may look, another user has none. */
export async function firewallsOf(home: string): Promise<string[]> {
  const listed = await runCommand(Scope.root('e2e'), 'nft', ['list', 'tables']).catch(() => ({ stdout: '' }))
  return listed.stdout.split('\n').filter((line) => line.includes(instanceTag(home)))
}

/** Six characters that tell this controller's machines from those of another; they are in the machine's process name. */
export async function instanceOf(machineId: string): Promise<string> {
  const [process] = await processesNaming(`anteroom-${machineId}`)
  const instance = /process=anteroom-(\w+)/.exec(process?.commandLine ?? '')?.[1]
  if (instance === undefined) throw new Error(`no process names the machine ${machineId}`)
  return instance
}

/** Every machine of one controller that has a process. */
export async function machinesOn(instance: string): Promise<{ id: string; pid: number }[]> {
  return (await processesNaming(`process=anteroom-${instance}`)).flatMap(({ pid, commandLine }) => {
    const id = /guest=anteroom-(\w+)/.exec(commandLine)?.[1]
    return id === undefined ? [] : [{ id, pid }]
  })
}

async function processesNaming(text: string): Promise<{ pid: number; commandLine: string }[]> {
  const pids = (await namesIn('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const processes = await Promise.all(
    pids.map(async (pid) => ({ pid, commandLine: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') })),
  )
  return processes.filter(({ commandLine }) => commandLine.includes(text))
}

const namesIn = (directory: string): Promise<string[]> => readdir(directory).catch(() => [])

const answersOn = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 })
    const finish = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
    socket.once('timeout', () => finish(false))
  })
