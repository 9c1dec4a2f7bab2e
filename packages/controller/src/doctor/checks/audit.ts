import { type Check, failed, ok } from '../check.ts'
import { required } from '../required.ts'

/** Read and hashed in a few tens of milliseconds. */
const newest = 1_000

/** Is the newest part of the audit as it was written, and its end signed with this vault's key? */
export const audit: Check = {
  name: 'audit',
  async examine(patient) {
    const chain = required(patient.audit)
    const head = await chain.checkpoint()
    const { verdict, entries, first_wrong } = await chain.verify({ afterSeq: Math.max(0, (head?.seq ?? 0) - newest) })
    if (verdict === 'whole')
      return ok(entries === 0 ? 'nothing was done yet' : `the newest ${entries} entries are as they were written`)
    return failed(
      first_wrong?.found ?? 'it is damaged',
      'Keep a copy of the database. What it was: compare with an export or a checkpoint in a log that is kept elsewhere. npm run anteroom -- audit verify reads all of it.',
    )
  },
}
