import type { Scope } from '@anteroom/base'
import { type Check, ok, type Patient, warning } from '../check.ts'
import { required } from '../required.ts'

interface Left {
  readonly machines: string[]
  readonly slots: number[]
}

/** Does the host have machines or slots of this controller's that nobody holds? */
export const leftovers: Check = {
  name: 'leftovers',
  async examine(patient, scope) {
    const { machines, slots } = await find(patient, scope)
    if (machines.length + slots.length === 0) return ok('the host has nothing of it that no session or pool holds')
    const found = [...machines.map((id) => `machine ${id}`), ...slots.map((index) => `network slot ${index}`)].join(
      ', ',
    )
    return {
      ...warning(
        `nobody holds ${found}`,
        'The controller sweeps every minute; `npm run anteroom -- doctor --fix` does now.',
      ),
      fix: async (fixing) => {
        await patient.sweep(fixing)
        return `removed ${found}`
      },
    }
  },
}

/** Leases after the host: what was made meanwhile has its lease already. */
async function find({ driver, slots, store, slotsAhead }: Patient, scope: Scope): Promise<Left> {
  const [machines, indices] = await Promise.all([required(driver).list(scope), required(slots).list(scope)])
  const leases = await required(store).db.selectFrom('machines').select(['id', 'slot_index']).execute()
  return {
    machines: machines.filter((id) => !leases.some((lease) => lease.id === id)),
    slots: indices.filter((index) => !slotsAhead.has(index) && !leases.some(({ slot_index }) => slot_index === index)),
  }
}
