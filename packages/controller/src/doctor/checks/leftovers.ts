import { findUnheld } from '../../leases/leases.ts'
import { type Check, ok, warning } from '../check.ts'
import { required } from '../required.ts'

/** Does the host have machines or slots of this controller's that nobody holds? */
export const leftovers: Check = {
  name: 'leftovers',
  async examine(patient, scope) {
    const [driver, slots, store] = [required(patient.driver), required(patient.slots), required(patient.store)]
    const unheld = await findUnheld({ db: store.db, driver, slots, slotsAhead: patient.slotsAhead }, scope)
    if (unheld.machines.length + unheld.slots.length === 0)
      return ok('the host has nothing of it that no session or pool holds')
    const names = [
      ...unheld.machines.map((id) => `machine ${id}`),
      ...unheld.slots.map((index) => `network slot ${index}`),
    ].join(', ')
    return {
      ...warning(
        `nobody holds ${names}`,
        'The controller sweeps every minute; `npm run anteroom -- doctor --fix` does now.',
      ),
      fix: async (fixing) => {
        await patient.sweep(fixing)
        return `removed ${names}`
      },
    }
  },
}
