import { Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import ipaddr from 'ipaddr.js'
import type { Resolve } from './egress.ts'

/** For one question to one name server; asked twice. */
const questionMs = 3_000
/** More names at once than a page of any kind asks for. */
const maxAtOnce = 16

export interface ResolverParts {
  readonly hostsFile?: string
  /** `address:port`; left out: those of /etc/resolv.conf. */
  readonly servers?: readonly string[]
}

/**
 * Every address of a name, for one machine. A resolver of its own and not the system's: `getaddrinfo` keeps one of the four threads
 * busy that this process has for files and names, as long as a name server is silent; a guest that asks for slow names would hold
 * up everybody else's names and files. Like the system's it looks into the hosts file first. Names are absolute: no search list.
 */
export function createResolver({ hostsFile = '/etc/hosts', servers }: ResolverParts = {}): Resolve {
  const resolver = new Resolver({ timeout: questionMs, tries: 2 })
  if (servers) resolver.setServers(servers)
  const turn = createTurns(maxAtOnce)
  return (host) =>
    turn(async () => {
      const local = namedIn(await readFile(hostsFile, 'utf8').catch(() => ''), host)
      if (local.length > 0) return local
      const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
      const found = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
      if (found.length === 0 && v4.status === 'rejected') throw v4.reason
      return found
    })
}

/** Addresses that the hosts file gives to a name (hosts(5)). */
function namedIn(file: string, host: string): string[] {
  return file.split('\n').flatMap((line) => {
    const [address = '', ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/)
    return ipaddr.isValid(address) && names.some((name) => name.toLowerCase() === host) ? [address] : []
  })
}

/** So many at once, the others in their order. */
function createTurns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  let busy = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (busy >= atOnce) await new Promise<void>((go) => waiting.push(go))
    else busy++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else busy--
    }
  }
}
