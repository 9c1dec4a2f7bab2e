import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDefinitions } from '../../packages/controller/src/providers/definition-file.ts'
import type { Fuzzer } from './fuzz.ts'

const examples = join(import.meta.dirname, '../../providers/examples')
const texts = readdirSync(examples).map((name) => readFileSync(join(examples, name)))
/** What YAML can do besides, and definitions need not. */
const tricks = [
  '&a [*a]',
  '*a',
  '!!js/function "x"',
  '<<: *a',
  '? {}',
  '%YAML 1.1',
  '__proto__: {}',
  '"\\ud800"',
  '\t',
  '- ',
].map((trick) => Buffer.from(`\n${trick}\n`))

/** Definitions that somebody typed wrong. Each is read, or said to be wrong with a line and in words. */
export function fuzzProviders(): Fuzzer {
  return {
    async round(mutator) {
      const text = mutator.mutate(mutator.pick(texts))
      const at = mutator.int(text.length + 1)
      const isTricked = mutator.int(3) === 0
      const written = isTricked ? Buffer.concat([text.subarray(0, at), mutator.pick(tricks), text.subarray(at)]) : text
      for (const { definition, problems, line } of parseDefinitions(written.toString('utf8'))) {
        if ((definition === undefined) !== problems.length > 0) throw new Error('neither read nor said to be wrong')
        if (!(line >= 1)) throw new Error(`a definition in line ${line}`)
        for (const { message, line: where } of problems)
          if (message === '' || !(where >= 1)) throw new Error(`a problem in line ${where}: ${message}`)
      }
      if (Object.hasOwn(Object.prototype, 'polluted'))
        throw new Error('a definition reached the prototype of all objects')
    },
    stop: async () => {},
  }
}
