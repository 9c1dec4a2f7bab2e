import { type Check, failed, ok } from '../check.ts'
import { required } from '../required.ts'

/** A clock that is adjusted goes back by less. */
const toleratedMs = 60_000

/** Time must not run backwards: not behind what was written yesterday, not behind the image. */
export const clock: Check = {
  name: 'clock',
  async examine({ clock, images, store }) {
    const newest = await required(store)
      .db.selectFrom('events')
      .select(['at'])
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst()
    const image = await images.current().catch(() => undefined)
    const known = Math.max(newest?.at ?? 0, image ? Date.parse(image.manifest.built_at) : 0)
    const now = clock.now()
    const said = new Date(now).toISOString()
    if (now >= known - toleratedMs) return ok(`it is ${said}`)
    return failed(
      `it is ${said} by this host’s clock, but something was written at ${new Date(known).toISOString()}`,
      'Set the clock (timedatectl set-ntp true): sessions expire by it, and machines take it over.',
    )
  },
}
