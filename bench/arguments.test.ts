import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { readArguments, UsageError } from './arguments.ts'

const known = ['store', 'gateway', 'first-frame']
const read = (args: string[], environment: NodeJS.ProcessEnv = {}) => readArguments(args, known, environment)

test('without a name every suite runs', () => {
  expect(read([])).toEqual({ suites: known, quick: false, home: resolve('.anteroom'), list: false })
})

test('named suites run in their own order, each once', () => {
  expect(read(['gateway', 'store', 'gateway', '--quick']).suites).toEqual(['store', 'gateway'])
})

test('the flag goes before the environment, the environment before the default', () => {
  const environment = { ANTEROOM_HOME: '/from/environment' }
  expect(read(['--home', '/from/flag'], environment).home).toBe('/from/flag')
  expect(read([], environment).home).toBe('/from/environment')
})

test('an unknown suite is refused with the one that was probably meant', () => {
  expect(() => read(['gatway'])).toThrow(UsageError)
  expect(() => read(['gatway'])).toThrow('There is no suite gatway. Did you mean gateway?')
  expect(() => read(['something else'])).toThrow('The suites are: store, gateway, first-frame')
})

test.each([[['--qiuck']], [['--home']], [['--list=yes']]])('%j is refused with the usage', (args) => {
  expect(() => read(args)).toThrow(UsageError)
  expect(() => read(args)).toThrow('Usage: npm run bench')
})
