import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const root = resolve(fileURLToPath(import.meta.url), '../..')

/** The state directory: --home, then ANTEROOM_HOME, then `.anteroom` in the checkout. */
export const homeOf = (flag) => resolve(flag ?? process.env.ANTEROOM_HOME ?? join(root, '.anteroom'))
