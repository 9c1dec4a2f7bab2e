import { type ChildProcess, spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, Scope, systemErrorCode } from '@anteroom/base'
import type { z } from 'zod'
import type { configSchema } from '../../packages/controller/src/config.ts'
import { Api } from './api.ts'
import { resultsDirectory, root } from './places.ts'
import { type Refusal, refusedStart } from './refused-start.ts'

/** Built once; every controller under test uses the same images and a state directory of its own. */
export const builtImages = process.env.TEST_IMAGES ?? join(root, '.anteroom/images')

/**
 * Second byte of what the controllers of this process take of 10.0.0.0/8 and 127.0.0.0/8: apart from the usual ones, so that a controller
 * that somebody runs here does not notice the tests, and by the process, so that links which a killed run has left are in nobody's way.
 */
export const networkByte = 64 + (process.pid % 128)
/** As in a network of /24. */
export const machineNetwork = `10.${networkByte}.0`
const pools = { pool: `${machineNetwork}.0/24`, user_pool: `127.${networkByte}.0.0/26` }
/** For a controller beside another one. */
export const otherNetwork = {
  kind: 'user',
  pool: `10.${networkByte}.1.0/28`,
  user_pool: `127.${networkByte}.1.0/28`,
} as const

/** What a session leaves is counted: nothing else may come and go meanwhile. */
const noPool = { size: 0, slots_ahead: 0 } as const

/** Nor do people come to every session, or type all the time. */
const patient = { first_connect_seconds: 3600, idle_seconds: 3600 } as const

export type ControllerConfig = z.input<typeof configSchema>

export interface Setting {
  /** The program itself, or `npm start` around it. */
  readonly entry?: 'packages/controller/src/main.ts' | 'bootstrap/start.mjs'
  /** Where golden images were built. */
  readonly images?: string
  /** Where its state directory is made. */
  readonly parent?: string
  /** Where its log goes. */
  readonly logs?: string
  /** Arguments for Node itself, before the program. */
  readonly node?: readonly string[]
  /** Program and arguments that replace themselves by the controller: what changes the world that it sees. */
  readonly through?: readonly string[]
  /** Instead of those of this process. */
  readonly env?: Readonly<Record<string, string>>
}

export interface ControllerProcess {
  readonly home: string
  readonly url: string
  readonly pid: number
  readonly api: Api
  /** As Ctrl-C does it. Gives the exit code. */
  stop(): Promise<number | null>
  /** Ends it as systemd does, and starts the next one, at the same address: only that one is to be used from then on. */
  restart(meanwhile?: () => Promise<void>): Promise<ControllerProcess>
  /** Resolves when it has ended, with what signal ended it. */
  readonly died: Promise<NodeJS.Signals | null>
  /** Kills it, unless it is dead, and starts the next one, at the same address: only that one is to be used from then on. */
  crash(meanwhile?: () => Promise<void>): Promise<ControllerProcess>
  /** Stops it, ends what it left and removes its state directory. */
  remove(): Promise<void>
}

/** The real program with a fresh state directory; `name` names its log. */
export async function startControllerProcess(
  name: string,
  config: ControllerConfig = {},
  setting: Setting = {},
): Promise<ControllerProcess> {
  return await launch(await prepareLaunch(name, config, setting))
}

/** What a controller says that does not start with this configuration. Nothing of it stays. */
export async function refusedWith(config: ControllerConfig, setting: Setting = {}): Promise<Refusal> {
  const { home } = await prepareLaunch('', config, setting)
  try {
    return await refusedStart(home, setting.through)
  } finally {
    await cleanHome(home)
    await rm(home, { recursive: true })
  }
}

/** How a controller is started, and started again. */
interface Launch {
  readonly setting: Setting
  readonly home: string
  readonly logFile: string
  /** 0: any free one. */
  readonly port: string
}

async function prepareLaunch(name: string, config: ControllerConfig, setting: Setting): Promise<Launch> {
  const { images = builtImages, parent = tmpdir(), logs = resultsDirectory } = setting
  if (!(await stat(images).catch(() => undefined)))
    throw new Error(`there are no golden images in ${images}; npm test builds them`)
  const home = await mkdtemp(join(parent, 'anteroom-e2e-'))
  await symlink(images, join(home, 'images'))
  // What one of them saves the others restore from.
  const snapshots = join(images, '../snapshots')
  await mkdir(snapshots, { recursive: true, mode: 0o700 })
  await symlink(snapshots, join(home, 'snapshots'))
  await rememberMeasurements(images, home)
  const settings = {
    ...{ ...config, network: { ...pools, ...config.network } },
    ...{ pool: { ...noPool, ...config.pool }, timeouts: { ...patient, ...config.timeouts } },
  }
  // JSON is YAML as well.
  await writeFile(join(home, 'config.yaml'), JSON.stringify(settings))
  await mkdir(logs, { recursive: true })
  return { setting, home, logFile: join(logs, `controller-${name}.log`), port: '0' }
}

async function launch(to: Launch): Promise<ControllerProcess> {
  const { home } = to
  const child = await spawnController(to)
  try {
    const { url, pid } = await whenReady(home, child)
    const key = (await readFile(join(home, 'operator.key'), 'utf8')).trim()
    const stop = async (): Promise<number | null> => {
      child.kill('SIGINT')
      return await exitOf(child)
    }
    const remove = async (): Promise<void> => {
      await stop()
      // A test that failed half-way leaves a machine; the next one should not meet it.
      await cleanHome(home)
      await rm(home, { recursive: true })
    }
    const again = (): Promise<ControllerProcess> => launch({ ...to, port: new URL(url).port })
    const crash = async (meanwhile?: () => Promise<void>): Promise<ControllerProcess> => {
      if (!hasEnded(child)) process.kill(pid, 'SIGKILL')
      await exitOf(child)
      // Killed, it could not take back where it was.
      await rm(join(home, 'run/controller.json'), { force: true })
      await meanwhile?.()
      return await again()
    }
    const restart = async (meanwhile?: () => Promise<void>): Promise<ControllerProcess> => {
      process.kill(pid, 'SIGTERM')
      await exitOf(child)
      await meanwhile?.()
      return await again()
    }
    const died = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)))
    return { home, url, pid, api: new Api(url, key), stop, restart, died, crash, remove }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/**
 * What the build of the image has found out on this host holds for every state directory: measuring acceleration takes ten
 * seconds, reading a saved memory four.
 */
async function rememberMeasurements(images: string, home: string): Promise<void> {
  await mkdir(join(home, 'cache'))
  for (const name of ['cache/acceleration.json', 'cache/verified-snapshots.json'])
    await copyFile(join(images, '..', name), join(home, name)).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error
    })
}

async function spawnController({ setting, home, logFile, port }: Launch): Promise<ChildProcess> {
  const { entry = 'packages/controller/src/main.ts', node = [], through = [], env } = setting
  await using log = await open(logFile, 'a')
  const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith('ANTEROOM_'))
  const [program = '', ...words] = [...through, process.execPath, ...node, entry, '--port', port, '--home', home]
  return spawn(program, words, {
    cwd: root,
    stdio: ['ignore', log.fd, log.fd],
    env: { ...Object.fromEntries(inherited), ...env },
  })
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

/** Ends it the hard way when it does not end by itself: a test that hangs says nothing. */
async function exitOf(child: ChildProcess): Promise<number | null> {
  try {
    await Scope.root('e2e').run({ name: 'the controller ends', deadlineMs: 60_000 }, (scope) =>
      scope.until(() => hasEnded(child) || undefined, 20),
    )
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return child.exitCode
}

/** What `npm run clean` does before it removes the directory. */
export async function cleanHome(home: string): Promise<void> {
  const program = join(root, 'packages/controller/src/clean.ts')
  await runCommand(Scope.root('e2e'), process.execPath, [program, '--home', home])
}

async function whenReady(home: string, child: ChildProcess): Promise<{ url: string; pid: number }> {
  return await Scope.root('e2e').run({ name: 'controller is ready', deadlineMs: 60_000 }, (scope) =>
    scope.until(async () => {
      if (hasEnded(child))
        throw new Error(`the controller ended with ${child.exitCode ?? child.signalCode}; see its log`)
      const text = await readFile(join(home, 'run/controller.json'), 'utf8').catch(() => undefined)
      return text === undefined ? undefined : (JSON.parse(text) as { url: string; pid: number })
    }, 50),
  )
}
