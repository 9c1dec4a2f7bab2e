import type { Oauth2Provider, ProviderDefinition, WebsiteProvider } from '@anteroom/contract'
import {
  addressRange,
  fixedAddress,
  isCovered,
  isDisguisedAddress,
  isPrivateHost,
  overlap,
} from './definition-hosts.ts'
import type { FieldPath, Finding } from './schema-problems.ts'

/** What makes a definition of the right shape useless (it could never work) or dangerous (it could do too much). */
export function checkRules(definition: ProviderDefinition): Finding[] {
  return [
    ...egressFindings(definition),
    ...(definition.kind === 'oauth2' ? oauth2Findings(definition) : websiteFindings(definition)),
  ]
}

function egressFindings({ egress }: ProviderDefinition): Finding[] {
  const allow = egress.allow.flatMap((pattern, index) => {
    const path = ['egress', 'allow', index]
    const message = patternMessage(pattern)
    if (message) return [{ path, message }]
    return isPrivateHost(pattern) && !fixedAddress(egress, pattern) ? [{ path, message: privateMessage(pattern) }] : []
  })
  const hosts = Object.entries(egress.hosts ?? {}).flatMap(([host, address]) => {
    const path = ['egress', 'hosts', host]
    if (unreachableRanges.has(addressRange(address)))
      return [{ path, message: `${address} is never given to a machine (${addressRange(address)} address)` }]
    return egress.allow.some((pattern) => overlap(pattern, host))
      ? []
      : [{ path, message: 'has no effect, because egress.allow does not allow this host' }]
  })
  return [...allow, ...hosts]
}

/** Link-local holds the metadata service of every cloud; the others reach nothing or everybody. */
const unreachableRanges = new Set(['linkLocal', 'multicast', 'broadcast', 'unspecified'])

function patternMessage(pattern: string): string | undefined {
  if (isDisguisedAddress(pattern)) return 'must be a host name, or an IPv4 address in its usual form such as 10.0.0.5'
  if (pattern.startsWith('*.') && !pattern.slice(2).includes('.'))
    return `stands for every site under .${pattern.slice(2)}; name the site, such as *.example.${pattern.slice(2)}`
  return undefined
}

const privateMessage = (host: string): string =>
  `${host} is a private address; if machines may reach it, name it in egress.hosts`

/** An address that the machine's browser or agent will open. */
function addressFindings({ egress }: ProviderDefinition, path: FieldPath, address: string | undefined): Finding[] {
  if (address === undefined) return []
  const url = new URL(address)
  const fixed = fixedAddress(egress, url.hostname)
  const findings: Finding[] = []
  const add = (message: string) => void findings.push({ path, message })
  if (url.username || url.password) add('must not hold a user name or password')
  if (!isCovered(egress.allow, url.hostname)) add(`egress.allow does not allow ${url.hostname}, so it could not open`)
  if (isPrivateHost(url.hostname) && !fixed) add(privateMessage(url.hostname))
  else if (url.protocol === 'http:' && !(fixed && isPrivateHost(fixed)))
    add('must begin with https://, for passwords and tokens would travel in the clear')
  return findings
}

/** What Anteroom itself puts into the authorization request (RFC 6749, RFC 7636, OpenID Connect Core). */
const reservedParams = new Set([
  'client_id',
  'client_secret',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
])

function oauth2Findings(definition: Oauth2Provider): Finding[] {
  const { issuer, authorization_endpoint, token_endpoint, authorization_params = {} } = definition
  const findings = [
    ...addressFindings(definition, ['issuer'], issuer),
    ...addressFindings(definition, ['authorization_endpoint'], authorization_endpoint),
    ...addressFindings(definition, ['token_endpoint'], token_endpoint),
  ]
  // OpenID Connect Discovery 1.0, section 3: an issuer has neither.
  if (issuer !== undefined && /[?#]/.test(issuer))
    findings.push({ path: ['issuer'], message: 'must not have a query or a fragment' })
  for (const name of Object.keys(authorization_params).filter((param) => reservedParams.has(param)))
    findings.push({ path: ['authorization_params', name], message: 'is set by Anteroom and cannot be replaced' })
  return findings
}

function websiteFindings(definition: WebsiteProvider): Finding[] {
  const { capture, egress, start_url } = definition
  const findings = [...addressFindings(definition, ['start_url'], start_url), ...successFindings(definition)]
  if (capture.cookies.length + capture.storage.length === 0)
    findings.push({ path: ['capture'], message: 'names nothing to capture; name cookies, storage or both' })
  capture.cookies.forEach((pattern, index) => {
    const path = ['capture', 'cookies', index]
    const message = patternMessage(pattern)
    if (message) findings.push({ path, message })
    else if (!egress.allow.some((allowed) => overlap(allowed, pattern)))
      findings.push({ path, message: 'egress.allow does not allow such a host, so it has no cookies' })
  })
  capture.storage.forEach((origin, index) => {
    findings.push(...addressFindings(definition, ['capture', 'storage', index], origin))
  })
  return findings
}

function successFindings(definition: WebsiteProvider): Finding[] {
  const { success, start_url } = definition
  if (!success) return []
  const mode = 'any' in success ? 'any' : 'all'
  const rules = 'any' in success ? success.any : success.all
  const findings = rules.flatMap((rule, index) =>
    'url' in rule ? successUrlFindings(definition, ['success', mode, index, 'url'], rule.url) : [],
  )
  const isTrueAtStart = rules.map((rule) => 'url' in rule && matchesUrlRule(rule.url, start_url))
  const early = mode === 'any' ? isTrueAtStart.indexOf(true) : isTrueAtStart.every(Boolean) ? 0 : -1
  if (early >= 0)
    findings.push({
      path: ['success', mode, early, 'url'],
      message: 'is true at start_url already, before anybody has signed in',
    })
  return findings
}

function successUrlFindings(definition: WebsiteProvider, path: FieldPath, rule: string): Finding[] {
  const star = rule.indexOf('*')
  if (star >= 0 && star < rule.length - 1) return [{ path, message: 'may have a * at its end only' }]
  // Without the slash `https://app.example*` would be true at https://app.example.attacker.net too.
  if (!/^https?:\/\/[^/?#*@]+\//.test(rule) || !URL.canParse(rule))
    return [{ path, message: 'must be an address with its path, such as https://app.example.com/home*' }]
  const { hostname } = new URL(rule)
  return isCovered(definition.egress.allow, hostname)
    ? []
    : [{ path, message: `egress.allow does not allow ${hostname}, so it can never be true` }]
}

const matchesUrlRule = (rule: string, address: string): boolean => {
  const url = new URL(address).href
  return rule.endsWith('*') ? url.startsWith(rule.slice(0, -1)) : url === rule
}
