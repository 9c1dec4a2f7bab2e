import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { AppError, nearest, systemErrorCode } from '@anteroom/base'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import { type Config, configSchema } from './config.ts'

type Tree = Record<string, unknown>

/** Sections and their keys, for the environment and for hints. Scalars at the top have no keys. */
const knownKeys: Record<string, readonly string[]> = Object.fromEntries(
  Object.entries(configSchema.shape).map(([name, schema]) => [name, sectionKeys(schema)]),
)

function sectionKeys(schema: z.ZodType): string[] {
  const inner = 'unwrap' in schema && typeof schema.unwrap === 'function' ? (schema.unwrap() as z.ZodType) : schema
  return 'shape' in inner && typeof inner.shape === 'object' && inner.shape !== null ? Object.keys(inner.shape) : []
}

/** Not settings of the controller, though they begin like them. */
const otherVariables = new Set(['ANTEROOM_HOME', 'ANTEROOM_DEBIAN_MIRROR', 'ANTEROOM_ROOT_KEY'])

/** ANTEROOM_LISTEN_PORT=4500 → { listen: { port: 4500 } }. Values are read as YAML scalars: numbers become numbers. */
function fromEnvironment(env: NodeJS.ProcessEnv): Tree {
  const tree: Tree = {}
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith('ANTEROOM_') || otherVariables.has(variable) || text === undefined) continue
    const name = variable.slice('ANTEROOM_'.length).toLowerCase()
    const value: unknown = parseDocument(text).toJS()
    if (name in configSchema.shape && knownKeys[name]?.length === 0) {
      tree[name] = value
      continue
    }
    const section = Object.keys(knownKeys).find(
      (candidate) =>
        name.startsWith(`${candidate}_`) && knownKeys[candidate]?.includes(name.slice(candidate.length + 1)),
    )
    if (section === undefined) {
      const all = Object.entries(knownKeys).flatMap(([top, keys]) =>
        keys.length === 0 ? [top] : keys.map((key) => `${top}_${key}`),
      )
      throw invalid(
        `the environment variable ${variable} is no setting`,
        meantBy(name, all)?.toUpperCase().replace(/^/, 'ANTEROOM_'),
      )
    }
    tree[section] = { ...(tree[section] as Tree | undefined), [name.slice(section.length + 1)]: value }
  }
  return tree
}

const unit = /_(ms|seconds|minutes|hours|days|[kmg]i?b)$/

/** What was meant by a key that is none: spelt almost so, or the same in another unit. */
function meantBy(key: string, known: readonly string[]): string | undefined {
  const withoutUnit = (name: string): string => name.replace(unit, '')
  return nearest(key, known) ?? known.find((name) => [key, withoutUnit(key)].includes(withoutUnit(name)))
}

const invalid = (what: string, meant?: string): AppError =>
  new AppError('config_invalid', { detail: meant === undefined ? what : `${what}; did you mean ${meant}?` })

function readFile(path: string): Tree {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return {}
    throw new AppError('config_invalid', { detail: `${path} cannot be read`, cause: error })
  }
  const document = parseDocument(text)
  const [problem] = document.errors
  if (problem) throw invalid(`${path}: ${problem.message}`)
  const tree: unknown = document.toJS() ?? {}
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree))
    throw invalid(`${path} must hold keys and values`)
  return tree as Tree
}

const merge = (base: Tree, over: Tree): Tree => {
  const merged = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key]
    const both = isTree(below) && isTree(value)
    merged[key] = both ? merge(below, value) : value
  }
  return merged
}
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * `$ANTEROOM_HOME/config.yaml`, then the environment, then `flags` (each over the one before) as one frozen Config.
 * @throws AppError config_invalid, naming the key and the nearest known one
 */
export function loadConfig(home: string, env: NodeJS.ProcessEnv, flags: Tree = {}): Config {
  const path = join(home, 'config.yaml')
  const parsed = configSchema.safeParse(merge(merge(readFile(path), fromEnvironment(env)), flags))
  if (parsed.success) return Object.freeze({ ...parsed.data, home: resolve(home) })
  const [issue] = parsed.error.issues
  if (!issue) throw invalid(path)
  const where = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const known = where === '' ? Object.keys(knownKeys) : (knownKeys[where] ?? [])
    const key = issue.keys[0] ?? ''
    const full = (name: string): string => (where === '' ? name : `${where}.${name}`)
    const meant = meantBy(key, known)
    throw invalid(`${full(key)} is no setting`, meant === undefined ? undefined : full(meant))
  }
  // What is wrong with several settings together names them itself.
  throw invalid(where === '' ? issue.message : `${where}: ${issue.message}`)
}
