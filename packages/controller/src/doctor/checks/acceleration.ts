import { type Check, ok, warning } from '../check.ts'
import { required } from '../required.ts'

/** Was a guest seen to run with KVM? That /dev/kvm can be opened says nothing. */
export const acceleration: Check = {
  name: 'acceleration',
  async examine({ driver }, scope) {
    const { accelerator, accelerationNote } = await required(driver).capabilities(scope)
    if (accelerator === 'kvm') return ok('a guest was seen to run with KVM')
    return warning(
      `machines are emulated: ${accelerationNote ?? 'vmm.accelerator is tcg'}`,
      'Everything works, several times slower. Run it where KVM works (bare metal, or nested virtualisation), as a user who may use /dev/kvm.',
    )
  },
}
