import { AppError, type Clock, newId } from '@anteroom/base'
import type { CreateProject, Project } from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import { newestFirst, type PageQuery, pageOf, type Row, type Store } from '../store/store.ts'

/** Tenants, as whoever has the scope `operator` makes them. There is no way back: what belongs to one stays there. */
export interface Projects {
  /** Newest first; the default one is the last. @throws AppError invalid_request (the cursor) */
  list(page: PageQuery): Promise<{ items: Project[]; next_cursor: string | null }>
  /** @throws AppError not_found */
  get(id: string): Promise<Project>
  create(asked: CreateProject): Promise<Project>
}

interface ProjectsParts {
  readonly store: Store
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
}

export const createProjects = ({ store, clock, audit }: ProjectsParts): Projects => ({
  async list(page) {
    const rows = await newestFirst(store.db.selectFrom('projects').selectAll(), page).execute()
    return pageOf(rows, page, toResource)
  },

  async get(id) {
    const row = await store.db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst()
    if (!row) throw new AppError('not_found', { detail: `There is no project ${id}.` })
    return toResource(row)
  },

  async create({ name }) {
    const row = { id: newId('project'), name, created_at: clock.now() }
    await store.transaction(async (tx) => {
      await tx.insertInto('projects').values(row).execute()
      await audit.record(tx, { action: 'project.created', target: { kind: 'project', id: row.id } })
    })
    return toResource(row)
  },
})

const toResource = ({ id, name, created_at }: Row<'projects'>): Project => ({
  id,
  name,
  created_at: new Date(created_at).toISOString(),
})
