import { AppError } from '@anteroom/base'
import { z } from 'zod'

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
