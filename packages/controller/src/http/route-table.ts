import type { KeyScope } from '@anteroom/contract'
import type { FastifyInstance } from 'fastify'

/** Who may call a route. Every route declares it. */
export interface RouteAccess {
  /** What a key must hold; `public`: nobody needs to say who they are. */
  readonly scope: KeyScope | 'public'
  /** May the account owner's browser do this, to the session that its cookie is bound to? */
  readonly visitor?: true
  /** Pages of other origins may come: the route itself says which. */
  readonly checksOrigin?: true
  /** Refuses cookies: nothing that a page can do by itself. */
  readonly keysOnly?: true
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: RouteAccess
  }
}

export interface RouteEntry {
  readonly method: string
  /** As declared, for example `/v1/sessions/:id`. */
  readonly url: string
  readonly access: RouteAccess
}

/** Every registered route. A route that does not say who may call it cannot be registered. */
export class RouteTable {
  readonly entries: RouteEntry[] = []

  constructor(app: FastifyInstance) {
    app.addHook('onRoute', (route) => {
      const access = route.config?.access
      if (!access) throw new Error(`${route.method} ${route.url} does not declare config.access`)
      for (const method of [route.method].flat()) this.entries.push({ method, url: route.url, access })
    })
  }

  /** Methods that the path would answer to. */
  methodsOf(path: string): string[] {
    return this.entries.filter(({ url }) => matches(url, path)).map(({ method }) => method)
  }
}

function matches(url: string, path: string): boolean {
  const [declared, given] = [url.split('/'), path.split('/')]
  return (
    declared.length === given.length &&
    declared.every((part, i) => part === given[i] || (/^:\w+$/.test(part) && given[i] !== ''))
  )
}
