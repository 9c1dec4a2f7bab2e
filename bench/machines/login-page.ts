import type { Scope } from '@anteroom/base'
import { focusColour } from '@anteroom/demo'
import type { Picture, Region, Screen } from '@anteroom/rfb'

const pageMs = 120_000
const lookEveryMs = 100
/** Fewer pixels of the colour are something else. */
const fewestPixels = 500

/** The demo's login page is there, its first field has the keyboard: where the field is, with the ring around it. */
export async function untilLoginField(screen: Screen, scope: Scope): Promise<Region> {
  return await scope.run({ name: 'the login page', deadlineMs: pageMs }, (inner) =>
    inner.until(async () => findColour(await screen.read(inner), focusColour), lookEveryMs),
  )
}

/** The smallest rectangle with all pixels of that colour, of a picture with four bytes a pixel. */
function findColour({ pixels, width }: Picture, colour: string): Region | undefined {
  const wanted = Number.parseInt(colour.slice(1), 16)
  let [left, top, right, bottom, count] = [width, Number.POSITIVE_INFINITY, 0, 0, 0]
  for (let at = 0; at < pixels.length; at += 4) {
    if ((pixels.readUInt32LE(at) & 0xffffff) !== wanted) continue
    const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)]
    left = Math.min(left, x)
    right = Math.max(right, x)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y)
    count++
  }
  return count < fewestPixels ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }
}

/** A blinking caret is one column, or two; a letter that comes or goes moves the caret as well. */
const letterColumns = 3

/** Resolves when a letter has come or gone in what `before` shows. */
export async function letterChanged(screen: Screen, before: Picture, scope: Scope): Promise<void> {
  for (let now = before; changedColumns(before, now) < letterColumns; ) now = await screen.changed(now, scope)
}

function changedColumns(one: Picture, other: Picture): number {
  const columns = new Set<number>()
  for (let at = 0; at < one.pixels.length; at += 4)
    if (one.pixels.readUInt32LE(at) !== other.pixels.readUInt32LE(at)) columns.add((at / 4) % one.width)
  return columns.size
}
