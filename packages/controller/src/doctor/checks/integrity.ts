import { join } from 'node:path'
import { AppError } from '@anteroom/base'
import { damageOf } from '../../store/store.ts'
import { type Check, failed, ok } from '../check.ts'

/** Of a database of a gigabyte more than this; nobody waits for it. */
const readMs = 2_000

/** Is what the database holds whole? It is told and not repaired: every repair of a database loses something. */
export const integrity: Check = {
  name: 'integrity',
  async examine({ config }, scope) {
    const path = join(config.home, 'anteroom.sqlite')
    try {
      const damage = await scope.run({ name: 'reading the database', deadlineMs: readMs }, (inner) =>
        damageOf(path, inner),
      )
      if (damage.length === 0) return ok('every page and index of the database was read')
      return failed(
        `${path} is damaged: ${damage.join('; ')}`,
        `Stop the controller, keep a copy of ${path} and its -wal, and bring back your last backup; look for a failing disk.`,
      )
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'deadline_exceeded') throw error
      return ok(`it takes longer than ${readMs / 1000} s to read: sqlite3 ${path} 'pragma quick_check' takes its time`)
    }
  },
}
