import { Writable } from 'node:stream'
import { AppError, type Log, Secret } from '@anteroom/base'
import Fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { createLog, type LogOptions } from './log.ts'
import { withoutSecrets } from './redact-url.ts'

const canary = 'canary-8fj2'

function open(options: Partial<LogOptions> = {}) {
  let text = ''
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk)
      done()
    },
  })
  const log = createLog({ level: 'info', pretty: false, destination, ...options })
  return {
    log,
    text: () => text,
    lines: () =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
  }
}

describe('createLog', () => {
  test('writes one JSON object a line, with level, time, fields and sentence', () => {
    const { log, lines } = open()
    const asLog: Log = log
    asLog.child({ session: 'ses_x' }).info({ port: 7 }, 'listening')
    expect(lines()).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), session: 'ses_x', port: 7, msg: 'listening' },
    ])
  })

  test('leaves out what is below the level', () => {
    const { log, text } = open({ level: 'warn' })
    log.info({}, 'no')
    expect(text()).toBe('')
  })

  test('is readable at a terminal', () => {
    const { log, text } = open({ pretty: true })
    log.warn({ machine: 'vm_1' }, 'machine is slow')
    expect(text()).toMatch(/^\[\d\d:\d\d:\d\d\.\d+\] WARN: machine is slow\n\s+machine: "vm_1"/)
  })

  test('shows an AppError with its code and its causes', () => {
    const { log, lines } = open()
    log.error({ error: new AppError('boot_failed', { detail: 'no init', cause: new Error('kernel panic') }) }, 'failed')
    expect(lines()[0].error).toMatchObject({ type: 'AppError', code: 'boot_failed', detail: 'no init' })
    expect(lines()[0].error.cause).toMatchObject({ message: 'kernel panic' })
  })

  test.each([
    { secret: canary },
    { password: canary },
    { claim: { rfb_password: canary } },
    { request: { headers: { authorization: canary, cookie: canary } } },
    { headers: { 'set-cookie': [canary] } },
    { answer: { value: { access_token: canary, id_token: canary, refresh_token: canary } } },
    { body: { sealed: canary, ticket: canary, token: canary, hosted_url: `http://h/#${canary}` } },
    { held: new Secret(canary) },
    { req: { method: 'GET', url: `/v1/sessions/x/live?ticket=${canary}&access=view` } },
  ])('never writes a secret: %j', (fields) => {
    for (const pretty of [false, true]) {
      const { log, text } = open({ pretty })
      log.error(fields, 'something')
      expect(text()).not.toContain(canary)
      expect(text()).toContain('[secret]')
    }
  })

  test('serves Fastify, which then logs no ticket either', async () => {
    const { log, text } = open()
    const app = Fastify({ loggerInstance: log })
    app.get('/live', async (request) => {
      request.log.info('asked')
      return {}
    })
    await app.inject({ url: `/live?ticket=${canary}`, headers: { authorization: canary } })
    await app.close()
    expect(text()).toContain('/live?ticket=[secret]')
    expect(text()).not.toContain(canary)
  })
})

test.each([
  ['/v1/sessions', '/v1/sessions'],
  ['/v1/sessions?limit=5&status=ended', '/v1/sessions?limit=5&status=ended'],
  ['/live?ticket=abc', '/live?ticket=[secret]'],
  ['/cb?code=a%26b&state', '/cb?code=[secret]&state=[secret]'],
])('withoutSecrets(%s)', (url, expected) => {
  expect(withoutSecrets(url)).toBe(expected)
})
