import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { satisfies } from './dependencies.mjs'
import { parseOsRelease } from './platform.mjs'
import { ensurePackages } from './system-packages.mjs'
import { countTests, secondTries, sum, summaryLine } from './test-report.mjs'
import { digestOf } from './web-bundle.mjs'

describe('platform', () => {
  test('os-release, quoted or not', () => {
    const text = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nEMPTY=\n'
    expect(parseOsRelease(text)).toEqual({
      PRETTY_NAME: 'Debian GNU/Linux 13 (trixie)',
      ID: 'debian',
      VERSION_ID: '13',
      EMPTY: '',
    })
  })
})

describe('system packages', () => {
  const there = { name: 'coreutils', file: 'ls', use: 'lists files' }
  const missing = { name: 'no-such-package', file: 'no-such-program', use: 'does nothing' }

  test('nothing is installed when nothing is missing', async () => {
    expect(await ensurePackages([there], { name: 'anything', id: 'any', isSupported: false })).toEqual([])
  })
  test('on a system whose packages are not known it says what is missing and installs nothing', async () => {
    const elsewhere = { name: 'Slackware 15', id: 'slackware', isSupported: false }
    await expect(ensurePackages([there, missing], elsewhere)).rejects.toThrow('Slackware 15')
  })
  test('Ubuntu is told where to get a Chromium from', async () => {
    const chromium = { name: 'chromium', file: 'no-such-program', use: 'is a browser' }
    const ubuntu = { name: 'Ubuntu 24.04', id: 'ubuntu', isSupported: true }
    await expect(ensurePackages([chromium], ubuntu)).rejects.toThrow('playwright-core install')
  })
})

describe('dependencies', () => {
  const workspace = { 'node_modules/@x/web': { link: true } }
  const wanted = {
    '': { version: '1' },
    'packages/web': { version: '1' },
    'node_modules/a': { version: '1.0.0' },
    ...workspace,
    'node_modules/other-system': { version: '2.0.0', optional: true },
  }
  test('are there when every package has the version of the lock', () => {
    expect(satisfies({ 'node_modules/a': { version: '1.0.0' }, ...workspace }, wanted)).toBe(true)
  })
  test('are not there when one is older or missing, or a workspace is new', () => {
    expect(satisfies({ 'node_modules/a': { version: '0.9.0' }, ...workspace }, wanted)).toBe(false)
    expect(satisfies({ ...workspace }, wanted)).toBe(false)
    expect(satisfies({ 'node_modules/a': { version: '1.0.0' } }, wanted)).toBe(false)
  })
})

describe('digest of sources', () => {
  let directory
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anteroom-digest-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  test('changes with contents and with names', async () => {
    await writeFile(join(directory, 'a'), 'one')
    const first = await digestOf([directory])
    expect(await digestOf([directory])).toBe(first)
    await writeFile(join(directory, 'a'), 'two')
    const second = await digestOf([directory])
    await rm(join(directory, 'a'))
    await writeFile(join(directory, 'b'), 'two')
    expect(new Set([first, second, await digestOf([directory])]).size).toBe(3)
  })
})

describe('test report', () => {
  const report = (testResults, numFailedTests = 0) =>
    JSON.stringify({ numPassedTests: 3, numFailedTests, numPendingTests: 1, numTodoTests: 1, testResults })

  test('adds up what vitest says', () => {
    const counts = countTests(report([{ status: 'failed', assertionResults: [{ status: 'failed' }] }], 1), 1)
    expect(counts).toEqual({ passed: 3, failed: 1, skipped: 2 })
    expect(summaryLine(sum([counts, counts]))).toBe('6 passed, 2 failed, 4 skipped')
  })
  test('names what passed only at the second try, with what it failed with', () => {
    const passed = { status: 'passed', fullName: 'steady', failureMessages: [] }
    const again = { status: 'passed', fullName: 'shaky', failureMessages: ['Error: too late\n    at here'] }
    const failed = { status: 'failed', fullName: 'broken', failureMessages: ['Error: no', 'Error: no'] }
    const text = report([{ status: 'failed', assertionResults: [passed, again, failed] }], 1)
    expect(secondTries(text)).toEqual(['shaky: Error: too late'])
    expect(secondTries(undefined)).toEqual([])
  })
  test('a file that cannot be loaded, an error outside of tests and a run without a report are failures', () => {
    expect(countTests(report([{ status: 'failed', assertionResults: [] }]), 1).failed).toBe(1)
    expect(countTests(report([]), 1).failed).toBe(1)
    expect(countTests(undefined, 0).failed).toBe(1)
  })
})
