import {
  AliasNode,
  AndNode,
  BinaryOperationNode,
  ColumnNode,
  type DeleteQueryNode,
  IdentifierNode,
  type InsertQueryNode,
  type JoinNode,
  OnNode,
  type OperationNode,
  OperationNodeTransformer,
  OperatorNode,
  ParensNode,
  PrimitiveValueListNode,
  type RawNode,
  ReferenceNode,
  type RootOperationNode,
  SelectionNode,
  SelectQueryNode,
  TableNode,
  UnaryOperationNode,
  type UpdateQueryNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
  WhereNode,
} from 'kysely'
import type { Reach } from './reach.ts'
import type { Tables } from './tables.ts'

type Confined = Exclude<Reach, 'everything'>
type Owner = 'sessions' | 'connections'

/** How a row is found to be somebody's: by itself, or by the row that it belongs to. No other table is within anybody's reach. */
const owners: Partial<Record<keyof Tables, Owner | { readonly of: Owner; readonly by: string }>> = {
  sessions: 'sessions',
  connections: 'connections',
  stages: { of: 'sessions', by: 'session_id' },
  events: { of: 'sessions', by: 'session_id' },
  tickets: { of: 'sessions', by: 'session_id' },
  egress_hosts: { of: 'sessions', by: 'session_id' },
  machines: { of: 'sessions', by: 'session_id' },
  credentials: { of: 'connections', by: 'connection_id' },
}

const statements: ReadonlySet<string> = new Set([
  'SelectQueryNode',
  'InsertQueryNode',
  'UpdateQueryNode',
  'DeleteQueryNode',
])

/** Words with which a fragment would read a table that nobody sees here. */
const readsMore = /\b(select|from|join|union|with|insert|update|delete|attach|pragma)\b/i

/** Adds to each table of a statement the condition that its rows are within reach. */
export class ReachTransformer extends OperationNodeTransformer {
  readonly #reach: Confined

  constructor(reach: Confined) {
    super()
    this.#reach = reach
  }

  /** @throws Error for a statement that cannot be confined: it is a mistake of ours */
  confine(node: RootOperationNode): RootOperationNode {
    if (!statements.has(node.kind)) throw refused(`a statement of the kind ${node.kind}`)
    return this.transformNode(node)
  }

  protected override transformSelectQuery(node: SelectQueryNode): SelectQueryNode {
    const inner = super.transformSelectQuery(node)
    return this.#confined(inner, inner.from?.froms ?? [])
  }

  protected override transformUpdateQuery(node: UpdateQueryNode): UpdateQueryNode {
    const inner = super.transformUpdateQuery(node)
    for (const { column } of inner.updates ?? [])
      if (ColumnNode.is(column) && column.column.name === 'project_id')
        throw refused('to move a row to another project')
    return this.#confined(inner, [...(inner.table ? [inner.table] : []), ...(inner.from?.froms ?? [])])
  }

  protected override transformDeleteQuery(node: DeleteQueryNode): DeleteQueryNode {
    const inner = super.transformDeleteQuery(node)
    if (inner.using) throw refused('to delete by another table')
    return this.#confined(inner, inner.from.froms)
  }

  /**
   * In the join itself: in `where`, the condition would make an inner join of an outer one. A right or full join keeps what its
   * condition leaves out.
   */
  protected override transformJoin(node: JoinNode): JoinNode {
    if (node.joinType !== 'InnerJoin' && node.joinType !== 'LeftJoin')
      throw refused(`a join of the kind ${node.joinType}`)
    const inner = super.transformJoin(node)
    const condition = this.#conditionOf(inner.table)
    if (!condition) return inner
    if (!inner.on) throw refused('a join without a condition')
    return { ...inner, on: OnNode.create(AndNode.create(ParensNode.create(inner.on.on), condition)) }
  }

  /** Rows of a project are made with it; those that belong to another row are made by whoever has looked for that. */
  protected override transformInsertQuery(node: InsertQueryNode): InsertQueryNode {
    const table = node.into?.table.identifier.name ?? ''
    const at = node.columns?.findIndex(({ column }) => column.name === 'project_id') ?? -1
    if (!('projectId' in this.#reach) || (table !== 'sessions' && table !== 'connections'))
      throw refused(`to insert into ${table}`)
    // What is there already under that id may be another's.
    if (node.replace || node.orAction || (node.onConflict && !node.onConflict.doNothing))
      throw refused(`to replace rows of ${table} by inserting`)
    if (at < 0 || !node.values || !ValuesNode.is(node.values))
      throw refused(`to insert into ${table} without a project`)
    for (const row of node.values.values)
      if (valueAt(row, at) !== this.#reach.projectId) throw refused(`to insert into ${table} of another project`)
    return super.transformInsertQuery(node)
  }

  protected override transformRaw(node: RawNode): RawNode {
    const more = node.sqlFragments.map((fragment) => readsMore.exec(fragment)?.[0]).find((word) => word !== undefined)
    if (more !== undefined) throw refused(`a raw fragment with ${more}`)
    return super.transformRaw(node)
  }

  #confined<N extends SelectQueryNode | UpdateQueryNode | DeleteQueryNode>(
    node: N,
    tables: readonly OperationNode[],
  ): N {
    if (tables.length === 0 && node.kind !== 'SelectQueryNode') throw refused('a statement without a table')
    const conditions = tables.flatMap((table) => this.#conditionOf(table) ?? [])
    // In parentheses: an `or` at its top would let everything through.
    const all = [...(node.where ? [ParensNode.create(node.where.where)] : []), ...conditions]
    const [first, ...more] = all
    if (!first) return node
    return { ...node, where: WhereNode.create(more.reduce((left, right) => AndNode.create(left, right), first)) }
  }

  /** undefined: a subquery, which has its own. */
  #conditionOf(from: OperationNode): OperationNode | undefined {
    const [source, alias] = AliasNode.is(from) ? [from.node, from.alias] : [from, undefined]
    if (SelectQueryNode.is(source)) return undefined
    if (!TableNode.is(source) || source.table.schema) throw refused(`to read a ${source.kind}`)
    const table = source.table.identifier.name
    const owner = Object.hasOwn(owners, table) ? owners[table as keyof Tables] : undefined
    if (owner === undefined) throw refused(`the table ${table}`)
    const name = alias && IdentifierNode.is(alias) ? alias.name : table
    return typeof owner === 'string' ? this.#isOwn(owner, name) : this.#existsOwn(owner, name)
  }

  #isOwn(owner: Owner, name: string): OperationNode {
    if ('projectId' in this.#reach) return equal(column(name, 'project_id'), ValueNode.create(this.#reach.projectId))
    if (owner !== 'sessions') throw refused(`${owner} in front of one session`)
    return equal(column(name, 'id'), ValueNode.create(this.#reach.sessionId))
  }

  #existsOwn({ of, by }: { readonly of: Owner; readonly by: string }, name: string): OperationNode {
    if ('sessionId' in this.#reach && of === 'sessions')
      return equal(column(name, by), ValueNode.create(this.#reach.sessionId))
    const owning = `${of}_within_reach`
    const query = SelectQueryNode.cloneWithSelections(
      SelectQueryNode.createFrom([AliasNode.create(TableNode.create(of), IdentifierNode.create(owning))]),
      [SelectionNode.create(column(owning, 'id'))],
    )
    const where = AndNode.create(equal(column(owning, 'id'), column(name, by)), this.#isOwn(of, owning))
    const rows: SelectQueryNode = { ...query, where: WhereNode.create(where) }
    return UnaryOperationNode.create(OperatorNode.create('exists'), rows)
  }
}

const refused = (what: string): Error => new Error(`not within reach: ${what}`)

const column = (table: string, name: string): ReferenceNode =>
  ReferenceNode.create(ColumnNode.create(name), TableNode.create(table))

const equal = (left: OperationNode, right: OperationNode): OperationNode =>
  BinaryOperationNode.create(left, OperatorNode.create('='), right)

function valueAt(row: OperationNode, at: number): unknown {
  if (PrimitiveValueListNode.is(row)) return row.values[at]
  const value = ValueListNode.is(row) ? row.values[at] : undefined
  return value && ValueNode.is(value) ? value.value : undefined
}
