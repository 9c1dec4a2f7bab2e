import { findUnheld } from '../../leases/leases.ts'
import { type Check, ok, warning } from '../check.ts'
import { required } from '../required.ts'

/** Does the host have machines, slots or golden images of this controller's that nobody holds? */
export const leftovers: Check = {
  name: 'leftovers',
  async examine(patient, scope) {
    const [driver, slots, store] = [required(patient.driver), required(patient.slots), required(patient.store)]
    const unheld = await findUnheld({ db: store.db, driver, slots, slotsAhead: patient.slotsAhead }, scope)
    const leases = await store.db.selectFrom('machines').select('image_id').execute()
    const inUse = new Set(leases.map(({ image_id }) => image_id))
    const images = await patient.images.unused(inUse)
    if (unheld.machines.length + unheld.slots.length + images.length === 0)
      return ok('the host has nothing of it that no session or pool holds')
    const names = [
      ...unheld.machines.map((id) => `machine ${id}`),
      ...unheld.slots.map((index) => `network slot ${index}`),
      ...images,
    ].join(', ')
    return {
      ...warning(
        `nobody holds ${names}`,
        'The controller sweeps every minute; `npm run anteroom -- doctor --fix` does now.',
      ),
      fix: async (fixing) => {
        await patient.sweep(fixing)
        await patient.images.collect(inUse)
        return `removed ${names}`
      },
    }
  },
}
