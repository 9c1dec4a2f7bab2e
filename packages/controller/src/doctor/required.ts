import { AppError } from '@anteroom/base'
import type { Opened } from './check.ts'

/** A part that a check cannot do without. @throws the AppError for which it is not there */
export function required<T>(part: Opened<T>): T {
  if (part instanceof AppError) throw part
  return part
}
