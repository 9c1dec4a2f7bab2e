import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import type { Locator, Page } from 'playwright-core'
import { resultsDirectory } from '../../harness/places.ts'

/** A rectangle on the page, in CSS pixels. */
export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Lossy screen encodings shift colours a little; the demo's are much further apart. */
const tolerance = 20
/** Fewer pixels of a colour are an accident (a picture, an anti-aliased edge). */
const fewestPixels = 150

/**
 * The live view as a person has it: pixels to look at, a mouse and a keyboard. Everything goes through noVNC; nothing here
 * knows what runs in the machine.
 */
export class Screen {
  readonly #page: Page
  readonly #canvas: Locator
  constructor(page: Page) {
    this.#page = page
    this.#canvas = page.locator('[data-testid=screen] canvas').first()
  }

  /** Resolves when the first picture has arrived. */
  async connected(): Promise<void> {
    await this.#page.locator('[data-testid=screen][data-live=connected]').waitFor({ timeout: 240_000 })
  }

  /** Where `colour` is now; undefined where it is not. */
  async find(colour: string): Promise<Box | undefined> {
    const box = await this.#canvas.evaluate(findColour, { colour, tolerance, fewestPixels })
    return box ?? undefined
  }

  /** Where `colour` comes to rest, and `isThere` holds. */
  async see(colour: string, what: string, isThere: (box: Box) => boolean = () => true): Promise<Box> {
    let last = ''
    return await this.#watch(`${what} is on the screen`, async () => {
      const box = await this.find(colour)
      const now = JSON.stringify(box)
      const isAtRest = now === last
      last = now
      return box && isAtRest && isThere(box) ? box : undefined
    })
  }

  async noLongerSee(colour: string, what: string): Promise<void> {
    await this.#watch(`${what} is gone`, async () => (await this.find(colour)) === undefined || undefined)
  }

  /** What was to be seen and did not come leaves a picture of what was there instead. */
  async #watch<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    try {
      return await Scope.root('e2e').run({ name: what, deadlineMs: 120_000 }, (scope) => scope.until(look, 100))
    } catch (error) {
      await this.#page.screenshot({ path: join(resultsDirectory, `missed-${what.replaceAll(' ', '-')}.png`) })
      throw error
    }
  }

  async click({ x, y, width, height }: Box): Promise<void> {
    await this.#page.mouse.click(x + width / 2, y + height / 2, { delay: 30 })
  }

  async type(text: string): Promise<void> {
    await this.#page.keyboard.type(text, { delay: 20 })
  }

  async press(key: string): Promise<void> {
    await this.#page.keyboard.press(key, { delay: 20 })
  }
}

/** Runs in the page. */
function findColour(
  element: Element,
  { colour, tolerance, fewestPixels }: { colour: string; tolerance: number; fewestPixels: number },
): Box | null {
  const canvas = element as HTMLCanvasElement
  if (canvas.width === 0 || canvas.height === 0) return null
  const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data
  if (!data) return null
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
  const isNear = (at: number, wanted: number): boolean => Math.abs((data[at] ?? 0) - wanted) <= tolerance
  let [left, top, right, bottom, count] = [canvas.width, canvas.height, 0, 0, 0]
  for (let pixel = 0; pixel < canvas.width * canvas.height; pixel += 1) {
    if (!isNear(pixel * 4, red) || !isNear(pixel * 4 + 1, green) || !isNear(pixel * 4 + 2, blue)) continue
    const [x, y] = [pixel % canvas.width, Math.floor(pixel / canvas.width)]
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
    count += 1
  }
  if (count < fewestPixels) return null
  const shown = canvas.getBoundingClientRect()
  const [scaleX, scaleY] = [shown.width / canvas.width, shown.height / canvas.height]
  return {
    x: shown.x + left * scaleX,
    y: shown.y + top * scaleY,
    width: (right - left) * scaleX,
    height: (bottom - top) * scaleY,
  }
}
