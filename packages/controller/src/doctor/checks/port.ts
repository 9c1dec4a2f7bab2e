import { once } from 'node:events'
import { createServer } from 'node:net'
import { systemErrorCode } from '@anteroom/base'
import { type Check, failed, ok } from '../check.ts'

/** Does the controller listen, or could it? */
export const port: Check = {
  name: 'port',
  async examine({ config, url }, scope) {
    if (url !== null) return ok(`the controller listens at ${url}`)
    const { host, port } = config.listen
    const server = createServer()
    try {
      await scope.race(once(server.listen(port, host), 'listening'))
      return ok(`no controller runs; ${host}:${port} is free`)
    } catch (error) {
      scope.throwIfOver()
      const why = systemErrorCode(error) === 'EADDRINUSE' ? 'another program listens there' : String(error)
      return failed(`${host}:${port}: ${why}`, 'End that program (`ss -ltnp` names it), or choose another listen.port.')
    } finally {
      server.close()
    }
  },
}
