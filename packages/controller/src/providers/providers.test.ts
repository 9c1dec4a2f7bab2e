import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Log, Scope, silentLog } from '@anteroom/base'
import { type ProviderDefinition, providerSummary } from '@anteroom/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openProviders, type Providers } from './providers.ts'

const text = (name: string, change: (text: string) => string = (t) => t): string =>
  change(`name: ${name}
title: Example ${name}
kind: website
start_url: https://app.example.com/login
capture: { cookies: ["*.example.com"], storage: ["https://app.example.com"] }
egress: { allow: ["*.example.com"] }
`)
const spoilt = (name: string): string => text(name, (t) => t.replace('start_url', 'start_ur'))

const demo: ProviderDefinition = {
  name: 'demo',
  title: 'Demo identity',
  kind: 'oauth2',
  issuer: 'http://idp.demo.test:4455',
  client_id: 'anteroom-demo',
  scopes: ['openid', 'profile', 'offline_access'],
  egress: { allow: ['idp.demo.test'], hosts: { 'idp.demo.test': '127.0.0.1' } },
  capture: { tokens: true },
}

describe('Providers', () => {
  let directory: string
  let providers: Providers | undefined

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anteroom-providers-'))
  })
  afterEach(async () => {
    providers?.close()
    providers = undefined
    await rm(directory, { recursive: true, force: true })
  })

  const put = (file: string, content: string | Uint8Array) => writeFile(join(directory, file), content)
  const open = async (log: Log = silentLog) => {
    providers = await openProviders({ directories: [directory], demo: [demo], log })
    return providers
  }
  const names = () => providers?.list().map((p) => p.name)
  /** The error code of `get`, or undefined. */
  const codeOf = (name: string): unknown => {
    try {
      providers?.get(name)
      return undefined
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error
    }
  }
  const eventually = (condition: () => boolean) =>
    Scope.root('test').run({ name: 'the change is seen', deadlineMs: 10_000 }, (scope) =>
      scope.until(() => condition() || undefined, 5),
    )

  test('lists what files and demonstration define, in words for people', async () => {
    await put('site.yaml', text('site'))
    const list = (await open()).list()
    for (const summary of list) expect(providerSummary.parse(summary)).toEqual(summary)
    expect(list).toEqual([
      {
        name: 'demo',
        title: 'Demo identity',
        kind: 'oauth2',
        opens: 'http://idp.demo.test:4455',
        captures: [
          'Access to your account: openid, profile',
          'Lasting access: it goes on after you have left, until it is revoked',
        ],
        demo: true,
      },
      {
        name: 'site',
        title: 'Example site',
        kind: 'website',
        opens: 'https://app.example.com/login',
        captures: [
          'Cookies of example.com and all sites below it',
          'What https://app.example.com has stored in the browser',
        ],
        demo: false,
      },
    ])
  })

  test('reads *.yaml and *.yml of the directory itself only', async () => {
    await put('a.yaml', text('a'))
    await put('b.yml', text('b'))
    await put('c.txt', text('c'))
    await put('.d.yaml', text('d'))
    await put('e.yaml~', text('e'))
    await open()
    expect(names()).toEqual(['a', 'b', 'demo'])
  })

  test('an unknown name is told, with the nearest known one', async () => {
    await put('site.yaml', text('site'))
    const opened = await open()
    expect(() => opened.get('stie')).toThrow(
      expect.objectContaining({ code: 'provider_unknown', detail: expect.stringContaining('did you mean site?') }),
    )
    expect(codeOf('__proto__')).toBe('provider_unknown')
    expect(codeOf('x'.repeat(100_000))).toBe('provider_unknown')
  })

  test('a broken definition is told with file, line and field, and takes no other along', async () => {
    await put('a.yaml', `${spoilt('broken')}---\n${text('fine')}`)
    await put('b.yaml', text('other'))
    const opened = await open()
    expect(names()).toEqual(['demo', 'fine', 'other'])
    expect(() => opened.get('broken')).toThrow(
      expect.objectContaining({ code: 'provider_invalid', detail: 'a.yaml:1: start_url is required' }),
    )
    expect(opened.problems()).toContainEqual({
      file: join(directory, 'a.yaml'),
      line: 4,
      field: 'start_ur',
      message: 'is not known; did you mean start_url?',
    })
  })

  test('the first definition of a name stays; a second one is a problem', async () => {
    await put('a.yaml', text('site'))
    await put('b.yaml', `\n${text('site', (t) => t.replace('Example', 'Another'))}---\n${text('demo')}`)
    const opened = await open()
    expect(opened.get('site').title).toBe('Example site')
    expect(opened.get('demo')).toBe(demo)
    expect(opened.problems()).toEqual([
      {
        file: join(directory, 'b.yaml'),
        line: 2,
        field: 'name',
        message: 'is used already by a.yaml:1; this definition is left out',
      },
      {
        file: join(directory, 'b.yaml'),
        line: 9,
        field: 'name',
        message: 'is used already by the demonstration; this definition is left out',
      },
    ])
  })

  test('a file that is no text is a problem', async () => {
    await put('a.yaml', new Uint8Array([0xff, 0xfe, 0x00, 0xd8]))
    await put('b.yaml', text('site'))
    expect((await open()).problems()).toEqual([
      { file: join(directory, 'a.yaml'), line: 1, field: '', message: expect.stringContaining('cannot be read') },
    ])
    expect(names()).toEqual(['demo', 'site'])
  })

  test('makes a directory that is missing, and refuses one that cannot be', async () => {
    const missing = join(directory, 'new')
    providers = await openProviders({ directories: [missing], log: silentLog })
    expect(providers.list()).toEqual([])
    expect(providers.problems()).toEqual([])
    await writeFile(join(missing, 'site.yaml'), text('site'))
    await eventually(() => codeOf('site') === undefined)
    await expect(
      openProviders({ directories: [join(missing, 'site.yaml', 'x')], log: silentLog }),
    ).rejects.toMatchObject({ code: 'config_invalid' })
  })

  describe('follows its files', () => {
    beforeEach(async () => {
      await put('site.yaml', text('site'))
      await put('other.yaml', text('other'))
      await open()
    })

    test('a new file, a changed one, a deleted one', async () => {
      await put('new.yaml', text('new'))
      await eventually(() => codeOf('new') === undefined)
      await put(
        'new.yaml',
        text('new', (t) => t.replace('Example new', 'Changed')),
      )
      await eventually(() => providers?.get('new').title === 'Changed')
      await rm(join(directory, 'new.yaml'))
      await eventually(() => codeOf('new') === 'provider_unknown')
      expect(names()).toEqual(['demo', 'other', 'site'])
    })

    test('a file that is replaced by renaming, as editors do', async () => {
      await put('site.yaml.swp', text('renamed'))
      await rename(join(directory, 'site.yaml.swp'), join(directory, 'site.yaml'))
      await eventually(() => codeOf('renamed') === undefined)
      expect(codeOf('site')).toBe('provider_unknown')
    })

    test('a definition that breaks is invalid until it is mended', async () => {
      await put('site.yaml', spoilt('site'))
      await eventually(() => codeOf('site') === 'provider_invalid')
      expect(codeOf('other')).toBeUndefined()
      await put('site.yaml', text('site'))
      await eventually(() => codeOf('site') === undefined)
      expect(providers?.problems()).toEqual([])
    })

    test('names that can no longer be read are invalid, not unknown, however often the file changes', async () => {
      for (const noise of ['[', '"', '{ {']) {
        await put('site.yaml', noise)
        await eventually(() => providers?.problems().length === 1 && codeOf('site') === 'provider_invalid')
      }
      await put('site.yaml', text('site'))
      await eventually(() => codeOf('site') === undefined)
    })

    test('not any more when it is closed', async () => {
      const mark = await openProviders({ directories: [directory], log: silentLog })
      providers?.close()
      await put('late.yaml', text('late'))
      // The one that still watches has seen the change; the closed one would have, too.
      await eventually(() => mark.list().some((p) => p.name === 'late'))
      mark.close()
      expect(codeOf('late')).toBe('provider_unknown')
    })
  })

  test('problems are logged where the operator looks', async () => {
    await put('a.yaml', spoilt('site'))
    const warned: object[] = []
    await open({ ...silentLog, warn: (fields) => void warned.push(fields) })
    expect(warned).toContainEqual({ file: join(directory, 'a.yaml'), line: 4, field: 'start_ur' })
  })
})

const repository = join(import.meta.dirname, '../../../..')

describe('what ships', () => {
  test('the examples load', async () => {
    const examples = await openProviders({ directories: [join(repository, 'providers/examples')], log: silentLog })
    examples.close()
    expect(examples.problems()).toEqual([])
    expect(
      examples
        .list()
        .map((p) => p.kind)
        .toSorted(),
    ).toEqual(['oauth2', 'website'])
  })

  test.each(['README.md', 'docs/reference/providers.md', 'providers/README.md'])(
    'the definitions in %s load',
    async (page) => {
      const blocks = [...(await readFile(join(repository, page), 'utf8')).matchAll(/^```yaml\n(name:[\s\S]*?)^```$/gm)]
      expect(blocks.length).toBeGreaterThan(0)
      const directory = await mkdtemp(join(tmpdir(), 'anteroom-providers-'))
      try {
        for (const [index, block] of blocks.entries()) await writeFile(join(directory, `${index}.yaml`), block[1] ?? '')
        const documented = await openProviders({ directories: [directory], log: silentLog })
        documented.close()
        expect(documented.problems()).toEqual([])
        expect(documented.list().length).toBeGreaterThan(0)
      } finally {
        await rm(directory, { recursive: true })
      }
    },
  )
})
