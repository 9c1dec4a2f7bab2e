import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { isLoopback, type Scope } from '@anteroom/base'
import { type Check, type Finding, failed, ok, type Patient, warning } from '../check.ts'

const soonDays = 14
const dayMs = 86_400_000

/** Do people reach the controller over TLS, with a certificate that browsers take? */
export const certificate: Check = {
  name: 'certificate',
  async examine(patient, scope) {
    const onDisk = await lookAtFile(patient)
    if (onDisk && onDisk.verdict !== 'ok') return onDisk
    const { public_url } = patient.config
    // From elsewhere it cannot be reached without one: such a configuration does not start.
    if (public_url === undefined) return onDisk ?? ok('none is needed: it is reached from this host alone')
    const url = new URL(public_url)
    if (url.protocol === 'https:') return await lookFromOutside(url, patient, scope)
    return isLoopback(url.hostname)
      ? ok(`none is needed: ${public_url} is this host`)
      : warning(`${public_url} is reached without TLS`, 'Give it a certificate and an https address.')
  },
}

/** What will be served after the next start, or within a minute; null: something else does TLS. */
async function lookAtFile({ config, clock }: Patient): Promise<Finding | null> {
  const { tls } = config.listen
  if (tls === undefined) return null
  const remedy = 'Correct listen.tls, or put the right files there; a controller that runs takes them within a minute.'
  try {
    const found = new X509Certificate(await readFile(tls.certificate_file))
    const { hostname } = new URL(config.public_url ?? `https://${config.listen.host}`)
    const isFor = isIP(hostname) === 0 ? found.checkHost(hostname) : found.checkIP(hostname)
    if (isFor === undefined) return failed(`${tls.certificate_file} is not for ${hostname}`, remedy)
    await readFile(tls.key_file)
    return untilFinding(tls.certificate_file, found.validTo, clock.now())
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error), remedy)
  }
}

async function lookFromOutside(url: URL, { clock }: Patient, scope: Scope): Promise<Finding> {
  const { hostname, port } = url
  // A name that is an address is not sent (RFC 6066).
  const name = isIP(hostname) === 0 ? { servername: hostname } : {}
  const socket = connect({ host: hostname, port: Number(port || 443), ...name })
  try {
    await scope.race(once(socket, 'secureConnect'))
    return untilFinding(`the certificate of ${hostname}`, socket.getPeerCertificate().valid_to, clock.now())
  } catch (error) {
    scope.throwIfOver()
    const why = error instanceof Error ? error.message : String(error)
    return failed(`${url.href}: ${why}`, 'Repair the reverse proxy or the certificate: browsers refuse it, too.')
  } finally {
    socket.destroy()
  }
}

function untilFinding(what: string, validTo: string, now: number): Finding {
  const days = Math.floor((Date.parse(validTo) - now) / dayMs)
  const found = `${what} is good for ${days} more days`
  return days >= soonDays ? ok(found) : warning(found, 'Renew it now, and see why that did not happen by itself.')
}
