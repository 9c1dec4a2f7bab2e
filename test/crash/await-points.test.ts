import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { type AwaitSite, withAwaitPoints } from './await-points.ts'
import { InstrumentedModules } from './instrumented-modules.ts'
import { createPoints } from './points.ts'

const root = resolve(import.meta.dirname, '../..')

/** Bodies of functions: `say` returns a promise of what it is given, and notes it when it settles; `log` notes it at once. */
const programs: [what: string, body: string, awaits: number][] = [
  ['in a condition', `if (await say(false)) return 1; else return (await say(2)) ? await say(3) : 4`, 3],
  [
    'in arguments, and one in another',
    `return await say(Math.max(await say(1), await (say(5) as Promise<number>)))`,
    3,
  ],
  [
    'in arrow bodies',
    `const f = async (n: number) => await say(n); return [await f(1), await (async () => await say(2))()]`,
    4,
  ],
  [
    'in optional chains',
    `const o: any = { f: say }; return [(await o?.f?.(1)) as number, await o.g?.(await say(2)), (await o?.f(3))!]`,
    4,
  ],
  [
    'in templates, spreads and keys',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the program
    'return [`${await say(1)}`, ...(await say([2])), { [await say("k")]: await say(3) }]',
    4,
  ],
  ['of values that are no promises', `return [await 1, await undefined, await { then: (done: any) => done(7) }]`, 3],
  [
    'of a rejection',
    `try { await say(Promise.reject(new Error('no'))) } catch (error) { return (error as Error).message }`,
    1,
  ],
  [
    'of a call that throws',
    `try { await (() => { throw new Error('at once') })() } catch (error) { return (error as Error).message } finally { await say(1) }`,
    2,
  ],
  ['directly after another', `return await await say(say(3))`, 2],
  [
    'in methods and private ones',
    `class C<T> { #n = 4; async #p() { return await say(this.#n) } async m() { return (await this.#p()) + 1 } } return await new C().m()`,
    3,
  ],
  [
    'in loops',
    `let n = 0; for (let i = 0; i < (await say(3)); i += await say(1)) n += i; while ((await say(n--)) > 0); return n`,
    3,
  ],
  [
    'in for await over a generator',
    `async function* g() { try { yield await say(1); yield 2 } finally { log('left') } } for await (const x of g()) { log(x); if (x === 1) break } return 'over'`,
    2,
  ],
  [
    'in for await over plain promises',
    `const seen = []; for await (const x of [say(1), 2, await say(say(3))]) seen.push(x); return seen`,
    2,
  ],
  [
    'using resources',
    `const r = (n: number) => ({ n, [Symbol.asyncDispose]: async () => { log('gone ' + n) } })
     { await using a = r(1), b = await say(r(2)); await using c = r(3); log(a.n + b.n + c.n) }
     try { await using d = r(4); throw new Error('thrown') } catch (error) { return (error as Error).message }`,
    4,
  ],
]

type Body = (say: <T>(value: T) => Promise<T>, log: (word: unknown) => void) => Promise<unknown>

async function run(code: string, pass: (point: string) => void): Promise<string> {
  const said: unknown[] = []
  const body = new Function('crashPoints', `return ${code}`)(createPoints(pass)) as Body
  const result = await body(
    async (value) => {
      said.push(await value)
      return value
    },
    (word) => said.push(word),
  )
  return JSON.stringify([...said, result])
}

test.each(programs)('an await %s does what it did, with a point on either side', async (_, body, awaits) => {
  const source = `async function body(say: any, log: any) { ${body} }`
  const { code, sites } = withAwaitPoints(source, 'body.ts')
  expect(sites).toHaveLength(awaits)
  const passed = new Set<string>()
  expect(await run(code, (point) => passed.add(point))).toEqual(await run(stripTypeScriptTypes(source), () => {}))
  // Nothing comes after what was never awaited; what throws instead of giving something to await has no other side.
  const sidesOf = ({ id }: AwaitSite): string => [`before ${id}`, `after ${id}`].map((one) => passed.has(one)).join()
  for (const site of sites) expect(sidesOf(site)).toMatch(/^true,true$|^false,false$|^true,false$/)
  expect(sites.map(sidesOf)).toContain('true,true')
})

test('a site is named by its place and the function around it', () => {
  const source = `await top\nclass C { async #m() {\n  const f = async () => await 1; await 2 } }\nfunction g() { return { h: async () => await 3 } }`
  expect(withAwaitPoints(source, 'a.ts').sites).toEqual([
    { id: 'a.ts:1:1', file: 'a.ts', inside: '' },
    { id: 'a.ts:3:25', file: 'a.ts', inside: 'f' },
    { id: 'a.ts:3:34', file: 'a.ts', inside: 'm' },
    { id: 'a.ts:4:40', file: 'a.ts', inside: 'h' },
  ])
})

test('every await of the modules of a session has its points', async () => {
  const modules = await InstrumentedModules.make()
  try {
    const ids = modules.sites.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const file of new Set(modules.sites.map((site) => site.file))) {
      const source = await readFile(join(root, file), 'utf8')
      // Without comments every `await` that is written is one.
      const code = source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
      const written = [...code.matchAll(/\bawait\b/g)].length
      expect([file, modules.sites.filter((site) => site.file === file).length]).toEqual([file, written])
    }
  } finally {
    await modules.remove()
  }
})

test('a process dies where it was told to, and nowhere else', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'anteroom-points-'))
  try {
    const program = join(directory, 'program.ts')
    const source = `const said: string = await Promise.resolve('one')\nconsole.log(said)\nawait null\nconsole.log('two')\n`
    await writeFile(program, source)
    await writeFile(join(directory, '0.js'), withAwaitPoints(source, 'program.ts').code)
    await writeFile(join(directory, 'modules.json'), JSON.stringify({ [program]: '0.js' }))
    const loader = pathToFileURL(join(import.meta.dirname, 'load-points.ts'))
    loader.searchParams.set('in', directory)
    const start = async () => {
      const child = spawn(process.execPath, ['--import', loader.href, program], { stdio: ['ignore', 'pipe', 'ignore'] })
      const said = (await child.stdout.setEncoding('utf8').toArray()).join('')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      return { said, how: child.signalCode ?? child.exitCode }
    }
    const died = () => readFile(join(directory, 'died'), 'utf8')
    expect(await start()).toEqual({ said: 'one\ntwo\n', how: 0 })
    await writeFile(join(directory, 'orders'), 'before program.ts:3:1')
    expect(await start()).toEqual({ said: 'one\n', how: 'SIGKILL' })
    expect(await died()).toBe('before program.ts:3:1')
    await writeFile(join(directory, 'orders'), 'after program.ts:1:22')
    expect(await start()).toEqual({ said: '', how: 'SIGKILL' })
    expect(await died()).toBe('after program.ts:1:22')
    await writeFile(join(directory, 'orders'), '*')
    expect((await start()).how).toBe(0)
    const passed = (await readFile(join(directory, 'passed'), 'utf8')).replaceAll(/^\d+ /gm, '')
    expect(passed.trim().split('\n')).toEqual([
      'before program.ts:1:22',
      'after program.ts:1:22',
      'before program.ts:3:1',
      'after program.ts:3:1',
    ])
  } finally {
    await rm(directory, { recursive: true })
  }
})
