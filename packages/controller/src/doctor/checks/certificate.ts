import { once } from 'node:events'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { isLoopback } from '@anteroom/base'
import { type Check, failed, ok, warning } from '../check.ts'

const soonDays = 14
const dayMs = 86_400_000

/** Do people reach the controller over TLS, with a certificate that browsers take? */
export const certificate: Check = {
  name: 'certificate',
  async examine({ config, clock }, scope) {
    const { public_url } = config
    if (public_url === undefined)
      return isLoopback(config.listen.host)
        ? ok('none is needed: it is reached from this host alone')
        : warning(
            `${config.listen.host} is reached without TLS: whoever listens on the way sees the screens and takes the cookies`,
            'Put a reverse proxy with a certificate before it and set public_url, or listen at 127.0.0.1.',
          )
    const { protocol, hostname, port } = new URL(public_url)
    if (protocol === 'http:')
      return isLoopback(hostname)
        ? ok(`none is needed: ${public_url} is this host`)
        : warning(`${public_url} is reached without TLS`, 'Give it a certificate and an https address.')
    // A name that is an address is not sent (RFC 6066).
    const name = isIP(hostname) === 0 ? { servername: hostname } : {}
    const socket = connect({ host: hostname, port: Number(port || 443), ...name })
    try {
      await scope.race(once(socket, 'secureConnect'))
      const until = Date.parse(socket.getPeerCertificate().valid_to)
      const days = Math.floor((until - clock.now()) / dayMs)
      const found = `the certificate of ${hostname} is good for ${days} more days`
      return days >= soonDays ? ok(found) : warning(found, 'Renew it now, and see why that did not happen by itself.')
    } catch (error) {
      scope.throwIfOver()
      const why = error instanceof Error ? error.message : String(error)
      return failed(`${public_url}: ${why}`, 'Repair the reverse proxy or its certificate: browsers refuse it, too.')
    } finally {
      socket.destroy()
    }
  },
}
