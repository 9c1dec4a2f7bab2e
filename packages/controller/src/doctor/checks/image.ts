import { durationText } from '@anteroom/base'
import { type Check, ok, warning } from '../check.ts'

const oldDays = 30
const dayMs = 86_400_000

/** Is there a current image, with the checksums that were published, and an agent that this controller understands? */
export const image: Check = {
  name: 'image',
  async examine({ images, clock }) {
    const { id, manifest } = await images.current()
    const days = Math.floor((clock.now() - Date.parse(manifest.built_at)) / dayMs)
    const { hello_ms, painted_ms } = manifest.boot_test
    const test = `its boot test saw the agent after ${durationText(hello_ms)} and the browser after ${durationText(painted_ms)}`
    const found = `${id}, ${days} days old, as it was published; ${test}`
    if (days <= oldDays) return ok(found)
    return warning(found, 'Its browser lacks the security updates since then: build a new one with `npm run image`.')
  },
}
