import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** Which package may import which. Nothing else. */
const packageImports: Record<string, readonly string[]> = {
  contract: [],
  base: ['contract'],
  rfb: ['base'],
  snapshot: ['base', 'contract', 'rfb', 'vmm'],
  vmm: ['base', 'contract'],
  controller: ['base', 'contract', 'rfb', 'snapshot', 'vmm', 'demo'],
  // rfb for its test machine alone.
  'guest-agent': ['base', 'contract', 'rfb'],
  image: ['base', 'contract', 'snapshot', 'vmm'],
  demo: ['base', 'contract'],
  web: ['contract'],
  cli: ['base', 'contract', 'sdk'],
  sdk: [],
}

/** Which folder of the controller may import which; always its public file, named like the folder. */
const folderImports: Record<string, readonly string[]> = {
  access: ['audit', 'events', 'store'],
  agent: [],
  audit: ['store'],
  connections: ['audit', 'store', 'vault'],
  doctor: [
    'audit',
    'evidence',
    'host',
    'images',
    'leases',
    'machines',
    'observe',
    'pool',
    'snapshots',
    'store',
    'vault',
  ],
  egress: ['store'],
  events: ['store'],
  evidence: [],
  host: [],
  http: [
    'access',
    'audit',
    'connections',
    'egress',
    'events',
    'images',
    'live',
    'pool',
    'providers',
    'sessions',
    'vault',
  ],
  images: [],
  leases: ['host', 'store'],
  live: ['audit', 'events', 'store'],
  machines: ['host', 'images', 'snapshots'],
  observe: [],
  pool: ['evidence', 'host', 'images', 'leases', 'machines', 'observe', 'snapshots', 'store'],
  providers: [],
  sessions: [
    'agent',
    'audit',
    'connections',
    'egress',
    'events',
    'evidence',
    'host',
    'images',
    'leases',
    'live',
    'machines',
    'observe',
    'pool',
    'providers',
    'snapshots',
    'store',
    'vault',
  ],
  snapshots: ['images'],
  store: [],
  vault: ['audit', 'store'],
}

/** Public files besides `<folder>/<folder>.ts`: the seam that every driver implements. */
const furtherPublicFiles = ['machines/driver.ts']

/**
 * What benchmarks take besides the packages' public files and those of the controller's folders: what stands in for machines,
 * guests and viewers, and the controller as a process.
 */
const benchImports = [
  /^packages\/controller\/src\/(config|controller|load-config|machines\/fake\/fake-driver)\.ts$/,
  /^packages\/controller\/test\/[^/]+\.ts$/,
  /^test\/harness\/[^/]+\.ts$/,
]

const walk = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
    ['node_modules', 'dist'].includes(entry.name)
      ? []
      : entry.isDirectory()
        ? walk(join(directory, entry.name))
        : [join(directory, entry.name)],
  )

const files = [join(root, 'packages'), join(root, 'test'), join(root, 'bootstrap'), join(root, 'bench')]
  .flatMap(walk)
  .filter((file) => /\.(ts|tsx|mjs)$/.test(file) && !file.endsWith('.gen.ts') && !file.endsWith('.d.ts'))
  .map((path) => ({ path, name: relative(root, path), text: readFileSync(path, 'utf8') }))

const isTest = (name: string): boolean =>
  /\.(test|host-test|contract|fixture)\.ts$/.test(name) || /(^|\/)test\//.test(name)
const source = files.filter(({ name }) => !isTest(name))

const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].flatMap((match) => match[1] ?? [])

const controllerSource = join(root, 'packages/controller/src')
const folderOf = (path: string): string | undefined => {
  const [folder, ...rest] = relative(controllerSource, path).split(sep)
  return path.startsWith(controllerSource) && rest.length > 0 ? folder : undefined
}

const isPublicInController = (file: string): boolean => {
  const [folder, ...rest] = relative(controllerSource, join(root, file)).split(sep)
  return rest.join(sep) === `${folder}.ts` || furtherPublicFiles.includes(`${folder}${sep}${rest.join(sep)}`)
}

describe('imports', () => {
  test('of benchmarks take public files, of packages and of folders of the controller', () => {
    const benchmarks = source.filter(({ name }) => name.startsWith('bench/'))
    const wrong = benchmarks.flatMap(({ path, name, text }) =>
      importsOf(text)
        .map((specifier) => ({
          specifier,
          file: specifier.startsWith('.') ? relative(root, resolve(dirname(path), specifier)) : undefined,
        }))
        .filter(({ specifier, file }) =>
          file === undefined
            ? /^@anteroom\/[^/]+\//.test(specifier)
            : !file.startsWith('bench/') &&
              !isPublicInController(file) &&
              !benchImports.some((allowed) => allowed.test(file)),
        )
        .map(({ specifier }) => `${name}: ${specifier}`),
    )
    expect(benchmarks.length).toBeGreaterThan(0)
    expect(wrong).toEqual([])
  })

  test('between packages follow the table and take the public file only', () => {
    const outside = source.filter(({ name }) => !name.startsWith('bench/'))
    const wrong = outside.flatMap(({ path, name, text }) => {
      const from = /^packages\/([^/]+)\//.exec(name)?.[1]
      return importsOf(text).flatMap((specifier) => {
        const [, to, deep] = /^@anteroom\/([^/]+)(\/.*)?$/.exec(specifier) ?? []
        if (to !== undefined)
          return deep === undefined && from !== undefined && packageImports[from]?.includes(to)
            ? []
            : [`${name}: ${specifier}`]
        const target = specifier.startsWith('.') ? relative(root, resolve(dirname(path), specifier)) : undefined
        return from === undefined || target === undefined || target.startsWith(`packages/${from}/`)
          ? []
          : [`${name}: ${specifier}`]
      })
    })
    expect(wrong).toEqual([])
  })

  test('between folders of the controller follow the table and take the public file only', () => {
    const wrong = source.flatMap(({ path, name, text }) => {
      const from = folderOf(path)
      if (from === undefined) return []
      return importsOf(text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => resolve(dirname(path), specifier))
        .flatMap((target) => {
          const to = folderOf(target)
          if (to === from) return []
          const file = relative(controllerSource, target)
          // config.ts is a type for everyone; values come through the composition root.
          if (to === undefined) return file === 'config.ts' ? [] : [`${name}: ${file}`]
          const isPublic = file === join(to, `${to}.ts`) || furtherPublicFiles.includes(file)
          return isPublic && folderImports[from]?.includes(to) ? [] : [`${name}: ${file}`]
        })
    })
    expect(wrong).toEqual([])
  })

  test('tables name what exists', () => {
    const folders = new Set(source.flatMap(({ path }) => folderOf(path) ?? []))
    expect([...folders].sort()).toEqual(Object.keys(folderImports).sort())
  })
})

describe('files', () => {
  test('are named in kebab-case for what they hold', () => {
    const wrong = files.filter(({ name }) => {
      const stem = basename(name).replace(/\.(test|host-test|contract|fixture|config)?\.?(ts|tsx|mjs)$/, '')
      return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem) || /\b(utils?|helpers?|common|misc)\b/.test(name)
    })
    expect(wrong.map(({ name }) => name)).toEqual([])
  })

  test('have at most 400 lines', () => {
    const long = files.filter(({ text }) => text.split('\n').length > 401).map(({ name }) => name)
    expect(long).toEqual([])
  })

  test('the story of a session is told in under 200 lines', () => {
    const lifecycle = files.find(({ name }) => name.endsWith('sessions/lifecycle.ts'))
    expect(lifecycle?.text.split('\n').length).toBeLessThan(200)
  })
})

describe('the running service', () => {
  const service = source.filter(({ name }) =>
    /^packages\/(base|rfb|vmm|controller|guest-agent|image|demo)\//.test(name),
  )

  test.each([
    ['starts no synchronous child processes', /\b(execSync|execFileSync|spawnSync)\b/, []],
    ['runs nothing through a shell', /shell:\s*true|(?<!\.)\bexec\(\s*[`'"]|from 'child_process'/, []],
    // A socket's own idle timeout is not a timer of ours: `.setTimeout(` calls and method declarations pass.
    ['sets timers through the clock only', /(?<!\.)\bset(Timeout|Interval)\((?!\w+: )/, ['packages/base/src/clock.ts']],
  ] as const)('%s', (_, pattern, allowed) => {
    const wrong = service.filter(
      ({ name, text }) => pattern.test(text) && !(allowed as readonly string[]).includes(name),
    )
    expect(wrong.map(({ name }) => name)).toEqual([])
  })
})
