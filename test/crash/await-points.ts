import { stripTypeScriptTypes } from 'node:module'
import { parseSync } from 'vite'

/** An `await`, a `for await` or an `await using`: where a process stands while the world goes on. */
export interface AwaitSite {
  /** `file:line:column`, of the source. */
  readonly id: string
  readonly file: string
  /** The innermost function with a name around it. */
  readonly inside: string
}

interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [part: string]: unknown
}

interface Insertion {
  readonly at: number
  readonly text: string
}

/**
 * The same program, in JavaScript, with a point (see points.ts) before and after everything that it awaits. Its lines stay where
 * they were.
 */
export function withAwaitPoints(source: string, file: string): { code: string; sites: AwaitSite[] } {
  const { program, errors } = parseSync(file, source)
  const [problem] = errors
  if (problem) throw new Error(`${file}: ${problem.message}`)
  const sites: AwaitSite[] = []
  const openings: Insertion[] = []
  const closings: Insertion[] = []
  const wrap = (from: SyntaxNode, to: SyntaxNode, before: string, after: string): void => {
    openings.push({ at: from.start, text: before })
    closings.push({ at: to.end, text: after })
  }

  const siteOf = (node: SyntaxNode, inside: string): string => {
    const lines = source.slice(0, node.start).split('\n')
    const id = `${file}:${lines.length}:${(lines.at(-1) ?? '').length + 1}`
    sites.push({ id, file, inside })
    return JSON.stringify(id)
  }

  const visit = (node: SyntaxNode, inside: string): void => {
    switch (node.type) {
      case 'AwaitExpression': {
        const id = siteOf(node, inside)
        const argument = node.argument as SyntaxNode
        wrap(argument, argument, `crashPoints.settled(${id}, (crashPoints.before(${id}), `, '))')
        break
      }
      case 'ForOfStatement':
        if (node.await === true) {
          const values = node.right as SyntaxNode
          wrap(values, values, `crashPoints.each(${siteOf(node, inside)}, (`, '))')
        }
        break
      case 'VariableDeclaration':
        if (node.kind === 'await using') {
          const id = siteOf(node, inside)
          const declared = node.declarations as [SyntaxNode, ...SyntaxNode[]]
          const leaving = (side: string): string => `$${side}${sites.length} = crashPoints.leaving(${id}, '${side}')`
          // Left in the reverse order: what is declared last is left first.
          wrap(declared[0], declared.at(-1) ?? declared[0], `${leaving('after')}, `, `, ${leaving('before')}`)
        }
        break
      default:
    }
    for (const [part, child] of Object.entries(node))
      for (const one of Array.isArray(child) ? child : [child])
        if (isNode(one)) visit(one, nameOf(node, part) ?? inside)
  }
  visit(program as unknown as SyntaxNode, '')
  // Of several that end at the same place the innermost ends first.
  return { code: stripTypeScriptTypes(insert(source, [...openings, ...closings.reverse()])), sites }
}

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'

/** What the code in this part of `node` is called by; undefined where it has the name of what is around it. */
function nameOf(node: SyntaxNode, part: string): string | undefined {
  const named = { MethodDefinition: 'key', Property: 'key', PropertyDefinition: 'key', VariableDeclarator: 'id' }
  if (node.type === 'FunctionDeclaration') return (node.id as { name?: string } | null)?.name
  const holder = named[node.type as keyof typeof named] as string | undefined
  const value = node[part] as SyntaxNode
  if (holder === undefined || !['FunctionExpression', 'ArrowFunctionExpression'].includes(value.type)) return undefined
  return (node[holder] as { name?: string }).name
}

function insert(source: string, insertions: readonly Insertion[]): string {
  let code = ''
  let at = 0
  for (const insertion of insertions.toSorted((a, b) => a.at - b.at)) {
    code += source.slice(at, insertion.at) + insertion.text
    at = insertion.at
  }
  return code + source.slice(at)
}
