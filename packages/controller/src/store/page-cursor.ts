import { AppError } from '@anteroom/base'
import { type SelectQueryBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Tables } from './tables.ts'

/** The last row of a page that is ordered by time and id, newest first; the next page begins after it. */
export interface PagePosition {
  readonly createdAt: number
  readonly id: string
}

const positionShape = z.tuple([z.int().nonnegative(), z.string().min(1).max(64)])

/** Opaque on purpose: nobody should build one. */
export const encodeCursor = ({ createdAt, id }: PagePosition): string =>
  Buffer.from(JSON.stringify([createdAt, id])).toString('base64url')

/** @throws AppError invalid_request with the field `cursor` */
export function decodeCursor(cursor: string): PagePosition {
  try {
    const [createdAt, id] = positionShape.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
    return { createdAt, id }
  } catch (cause) {
    throw new AppError('invalid_request', {
      detail: 'The cursor is not one of this list.',
      fields: [{ pointer: 'cursor', message: 'must be `next_cursor` of the page before, unchanged' }],
      cause,
    })
  }
}

export interface PageQuery {
  /** `next_cursor` of the page before. */
  readonly cursor?: string
  readonly limit: number
}

/** Newest first: what comes after the page before, and one row more than is asked for. @throws AppError invalid_request */
export function newestFirst<TB extends keyof Tables, O>(
  query: SelectQueryBuilder<Tables, TB, O>,
  { cursor, limit }: PageQuery,
): SelectQueryBuilder<Tables, TB, O> {
  const ordered = query
    .orderBy(sql.ref('created_at'), 'desc')
    .orderBy(sql.ref('id'), 'desc')
    .limit(limit + 1)
  if (cursor === undefined) return ordered
  const { createdAt, id } = decodeCursor(cursor)
  // As one comparison of two pairs: of an `or` SQLite would read everything before the page.
  return ordered.where(sql<boolean>`(created_at, id) < (${createdAt}, ${id})`)
}

/** The page of what such a query gave. */
export function pageOf<R extends { readonly created_at: number; readonly id: string }, T>(
  rows: readonly R[],
  { limit }: PageQuery,
  toResource: (row: R) => T,
): { items: T[]; next_cursor: string | null } {
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    items: page.map((row) => toResource(row)),
    next_cursor: last ? encodeCursor({ createdAt: last.created_at, id: last.id }) : null,
  }
}
