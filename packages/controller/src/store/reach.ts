import { AppError } from '@anteroom/base'
import type { KyselyPlugin, RootOperationNode } from 'kysely'
import { ReachTransformer } from './reach-transformer.ts'
import type { Db } from './store.ts'

/**
 * Whose rows somebody gets at: everybody's (the operator, and the controller itself), those of one project (an API key), or of one
 * session (the person in front of it).
 */
export type Reach = 'everything' | { readonly projectId: string } | { readonly sessionId: string }

/**
 * The same database, or transaction, with nothing in it but what is within reach: every statement gets the condition before it is
 * run, also in its joins and subqueries. What cannot be given one is refused: raw statements, tables that have no project, rows that
 * are inserted into another project.
 */
export const within = <D extends Db>(db: D, reach: Reach): D =>
  reach === 'everything' ? db : (db.withPlugin(new ReachPlugin(reach)) as D)

class ReachPlugin implements KyselyPlugin {
  readonly #transformer: ReachTransformer

  constructor(reach: Exclude<Reach, 'everything'>) {
    this.#transformer = new ReachTransformer(reach)
  }

  transformQuery({ node }: { readonly node: RootOperationNode }): RootOperationNode {
    return this.#transformer.confine(node)
  }

  transformResult: KyselyPlugin['transformResult'] = async ({ result }) => result
}

/** For what is done with an id alone afterwards. @throws AppError not_found, alike for what is not there and what is another's */
export async function requireReached(
  db: Db,
  reach: Reach,
  table: 'sessions' | 'connections',
  id: string,
): Promise<void> {
  const found = await within(db, reach).selectFrom(table).select('id').where('id', '=', id).executeTakeFirst()
  if (!found) throw new AppError('not_found')
}
