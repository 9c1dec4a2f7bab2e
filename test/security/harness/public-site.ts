import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { runCommand, Scope } from '@anteroom/base'

const scope = Scope.root('public site')
const ip = (...args: string[]) => runCommand(scope, 'ip', args)

/** Given out, and announced by nobody: what a machine may be connected to by its range, and is not on the internet. */
export const publicIp = '11.213.47.2'
const hostIp = '11.213.47.1'

const site = `
const { createServer } = require('node:http')
createServer((request, response) => {
  const to = new URL(request.url, 'http://x').searchParams.get('to')
  if (to) return response.writeHead(302, { location: to }).end()
  response.end('public')
}).listen(80, '0.0.0.0', () => console.log('listening'))
`

/** A web server at a public address, in a namespace of its own: `/?to=…` redirects. */
export class PublicSite {
  readonly #name = `site-${process.pid.toString(36)}`
  #program: ChildProcess | undefined

  static async open(): Promise<PublicSite> {
    const made = new PublicSite()
    const name = made.#name
    await ip('netns', 'add', name)
    await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
    await ip('addr', 'add', `${hostIp}/30`, 'dev', name)
    await ip('link', 'set', name, 'up')
    await ip('-n', name, 'addr', 'add', `${publicIp}/30`, 'dev', 'eth0')
    await ip('-n', name, 'link', 'set', 'eth0', 'up')
    made.#program = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', site], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (made.#program.stdout) await once(made.#program.stdout, 'data')
    return made
  }

  async close(): Promise<void> {
    this.#program?.kill('SIGKILL')
    await ip('link', 'delete', this.#name)
    await ip('netns', 'delete', this.#name)
  }
}
