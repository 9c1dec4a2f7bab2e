import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadConfig } from './load-config.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'anteroom-config-'))
})
afterEach(() => rmSync(home, { recursive: true }))

const write = (yaml: string): void => writeFileSync(join(home, 'config.yaml'), yaml)

test('without a file every key has its default', () => {
  expect(loadConfig(home, {})).toMatchObject({
    home,
    listen: { host: '127.0.0.1', port: 4400 },
    network: { kind: 'auto' },
  })
})

test('flags are over the environment, the environment over the file, and what they leave out stays', () => {
  write('listen: { port: 1000, host: 127.0.0.2 }\nvmm: { memory_mib: 1024 }\n')
  const config = loadConfig(home, { ANTEROOM_LISTEN_PORT: '2000', ANTEROOM_VMM_VCPUS: '4' }, { listen: { port: 3000 } })
  expect(config).toMatchObject({ listen: { port: 3000, host: '127.0.0.2' }, vmm: { memory_mib: 1024, vcpus: 4 } })
})

test.each([
  ['lisetn: { port: 1 }', 'lisetn is no setting; did you mean listen?'],
  ['timeouts: { idle_minutes: 5 }', 'timeouts.idle_minutes is no setting; did you mean timeouts.idle_seconds?'],
  ['timeouts: { idle: 300 }', 'did you mean timeouts.idle_seconds?'],
  ['vmm: { memory_mb: 1024 }', 'vmm.memory_mb is no setting; did you mean vmm.memory_mib?'],
  ['vmm: { memory_mib: 1.5GiB }', 'vmm.memory_mib:'],
  ['network: { pool: 10.0.0.0 }', 'network.pool:'],
  [
    'timeouts: { session_seconds: 1800, max_session_seconds: 900 }',
    'timeouts.session_seconds must not be above timeouts.max_session_seconds',
  ],
  ['limits: { max_per_key: 0 }', 'limits.max_per_key:'],
  ['limits: { max_per_user: 3 }', 'limits.max_per_user is no setting; did you mean limits.max_per_key?'],
  ['network: { user_pool: 10.0.0.0/24 }', 'network.user_pool:'],
  ['hosted_page: { return_origins: [app.example.com] }', 'app.example.com is no origin: write it like https://'],
  ['hosted_page: { return_origins: ["https://app.example.com/"] }', 'write https://app.example.com'],
  ['hosted_page: { return_origins: ["https://bücher.example"] }', 'write https://xn--bcher-kva.example'],
  ['hosted_page: { return_origins: ["https://*.example.com"] }', 'https://*.example.com is no origin'],
  ['hosted_page: { frame_ancestors: ["https://a;script-src"] }', 'https://a;script-src is no origin'],
  ['hosted_page: { frame_ancestors: ["http://app.example.com"] }', 'give it https; http is for this host alone'],
  ['listen: { host: 0.0.0.0 }', 'listen.host: 0.0.0.0 is reached from other hosts in plain text'],
  ['listen: { host: 10.0.0.7 }\npublic_url: https://anteroom.example', 'in plain text'],
  ['listen: { host: "::", proxies: [10.0.0.5] }', 'public_url: with listen.host :: it must be the https address'],
  [
    'listen: { host: 0.0.0.0, tls: { certificate_file: a, key_file: b } }\npublic_url: http://anteroom.example',
    'it must be the https address',
  ],
  ['listen: { proxies: [somewhere] }', 'listen.proxies.0: must be an address'],
  ['listen: { proxies: [10.0.0.0/33] }', 'listen.proxies.0: must be an address'],
  ['listen: { tls: { certificate_file: a } }', 'listen.tls.key_file:'],
  ['operators: { links: off }', 'operators.links: off leaves no way in without operators.oidc'],
  [
    'operators: { oidc: { issuer: "http://id.example.com", client_id: a, allow: { subjects: [b] } } }',
    'operators.oidc.issuer: must be https',
  ],
  [
    'operators: { oidc: { issuer: "https://id.example.com", client_id: a, allow: {} } }',
    'operators.oidc.allow: must name somebody',
  ],
  ['listen: [1', 'config.yaml'],
  ['- 1', 'must hold keys and values'],
])('%s is refused: %s', (yaml, message) => {
  write(yaml)
  expect(() => loadConfig(home, {})).toThrow(
    expect.objectContaining({ code: 'config_invalid', detail: expect.stringContaining(message) }),
  )
})

test('an unknown variable of the environment is refused with the nearest known one', () => {
  expect(() => loadConfig(home, { ANTEROOM_LISTEN_PROT: '1' })).toThrow('did you mean ANTEROOM_LISTEN_PORT?')
})

test.each([
  'listen: { host: localhost }',
  'listen: { host: "::1" }',
  'listen: { host: 0.0.0.0, tls: { certificate_file: a, key_file: b } }\npublic_url: https://anteroom.example',
  'listen: { host: "::", proxies: [10.0.0.5, "fd00::/64"] }\npublic_url: https://anteroom.example',
])('%s is safe to be listened at', (yaml) => {
  write(yaml)
  expect(loadConfig(home, {})).toHaveProperty('listen')
})
