import { once } from 'node:events'
import { chmod, mkdir, rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Scope } from '@anteroom/base'
import type { AgentConfig } from '../agent-config.ts'
import { Pulse } from '../pulse.ts'
import { type ProcessState, SupervisedProcess } from './supervised-process.ts'

export interface Desktop {
  /** Resolves when the X server accepts connections. */
  untilUp(scope: Scope): Promise<void>
  stop(): Promise<void>
}

const x11Dir = '/tmp/.X11-unix'

/** The X server, which is the RFB server as well, and the window manager. */
export async function startDesktop(
  config: AgentConfig,
  passwordFile: string,
  scope: Scope,
  report: (state: ProcessState) => void,
): Promise<Desktop> {
  const display = `:${config.display.number}`
  let server: ProcessState = 'starting'
  const changed = new Pulse()
  const untilUp = async (waiting: Scope): Promise<void> => {
    while (server !== 'up') await changed.next(waiting)
  }
  // The X server runs without root and may then not make this directory itself (xtrans, since 1.5).
  if (config.ownsMachine) {
    await mkdir(x11Dir, { recursive: true })
    await chmod(x11Dir, 0o1777)
  }

  const xServer = new SupervisedProcess(
    {
      name: 'display',
      file: config.programs.display,
      args: displayArgs(config.display, passwordFile),
      env: childEnvironment(config.runDir),
      user: config.users?.screen,
      extraPipes: 1,
      beforeStart: async () => {},
      // -displayfd: the server writes its number when it accepts connections (Xserver(1)).
      untilUp: async (child) => void (await once(child.stdio[3] as Readable, 'data')),
      // A killed server leaves both behind, and the next one refuses when their pid was given out again.
      afterEnd: async () => {
        await rm(`${x11Dir}/X${config.display.number}`, { force: true })
        await rm(`/tmp/.X${config.display.number}-lock`, { force: true })
      },
    },
    scope,
    (state) => {
      server = state
      changed.beat()
      report(state)
    },
  )
  const windowManager = new SupervisedProcess(
    {
      name: 'window manager',
      file: config.programs.windowManager,
      args: ['--sm-disable'],
      env: { ...childEnvironment(config.runDir), DISPLAY: display },
      user: config.users?.screen,
      beforeStart: untilUp,
      untilUp: async () => {},
    },
    scope,
    (state) => {
      if (state === 'lost') report('lost')
    },
  )
  xServer.start()
  windowManager.start()
  return {
    untilUp,
    async stop() {
      await windowManager.stop()
      await xServer.stop()
    },
  }
}

export const childEnvironment = (home: string): Record<string, string> => ({
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: home,
  LANG: 'C.UTF-8',
})

function displayArgs(display: AgentConfig['display'], passwordFile: string): string[] {
  return [
    `:${display.number}`,
    ...['-displayfd', '3'],
    ...['-geometry', `${display.width}x${display.height}`, '-depth', '24'],
    ...['-nolisten', 'tcp', '-noreset'],
    // A screen that blanks itself would look like a failure to the person.
    ...['-s', '0', '-dpms'],
    ...(display.rfbHost === undefined ? [] : ['-interface', display.rfbHost]),
    ...['-rfbport', String(display.rfbPort)],
    '-SecurityTypes=VncAuth',
    `-PasswordFile=${passwordFile}`,
    // All connections come from one address, the controller's: a few with the password of before the claim must not lock it out.
    '-UseBlacklist=0',
    '-AlwaysShared=1',
    '-AcceptSetDesktopSize=1',
    // Only what the person selects or pastes on purpose, not every selection.
    ...['-SendPrimary=0', '-SetPrimary=0'],
    ...['-IdleTimeout=0', '-MaxIdleTime=0', '-MaxDisconnectionTime=0', '-MaxConnectionTime=0'],
    '-desktop=Anteroom',
  ]
}
