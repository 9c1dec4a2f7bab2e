import { agentPort, claimPort, rfbPort } from '@anteroom/contract'

export interface UnixUser {
  readonly uid: number
  readonly gid: number
}

/** Everything in which the machine and a development host differ. */
export interface AgentConfig {
  readonly link: { readonly host: string; readonly port: number; readonly claimPort: number }
  /** The browser's proxy, on 127.0.0.1. */
  readonly proxyPort: number
  readonly display: {
    readonly number: number
    readonly width: number
    readonly height: number
    /** Address on which the RFB server listens; all of them when it is missing. */
    readonly rfbHost?: string
    readonly rfbPort: number
  }
  readonly programs: {
    readonly display: string
    readonly windowManager: string
    readonly browser: string
    readonly claimDaemon: string
  }
  /** Who runs the screen and the browser; without it everything runs as the agent's own user. */
  readonly users?: { readonly screen: UnixUser; readonly person: UnixUser }
  /** Small files of the agent itself. */
  readonly runDir: string
  /** Home of the browser's user. The agent makes it and `wipe` removes it. */
  readonly personHome: string
  /** Shown until a session opens something else. */
  readonly startPageFile: string
  readonly extraBrowserArgs: readonly string[]
  /** May clock, names and directories that programs share be changed? Only in a machine of our own. */
  readonly ownsMachine: boolean
}

/** The golden image: root file system, users and addresses are as `packages/image` builds them. */
export const machineConfig: AgentConfig = {
  link: { host: '0.0.0.0', port: agentPort, claimPort },
  proxyPort: 3128,
  display: { number: 1, width: 1280, height: 800, rfbPort },
  programs: {
    display: '/usr/bin/Xtigervnc',
    windowManager: '/usr/bin/openbox',
    // Not the wrapper script of Debian: it costs seconds under emulation and adds flags for a GPU.
    browser: '/usr/lib/chromium/chromium',
    claimDaemon: '/opt/anteroom/claimd',
  },
  users: { screen: { uid: 1001, gid: 1001 }, person: { uid: 1000, gid: 1000 } },
  runDir: '/run/anteroom',
  personHome: '/home/person',
  startPageFile: '/opt/anteroom/start.html',
  extraBrowserArgs: [],
  ownsMachine: true,
}
