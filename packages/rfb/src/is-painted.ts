import type { Scope } from '@anteroom/base'
import type { Region, Screen } from './screen.ts'

/**
 * An X screen on which nothing was painted is one colour and the mouse pointer: at most three colours, and the pointer
 * (16 × 16) is 0.03 % of 1280 × 800. A browser window that is mapped but has not painted yet is one colour too. A browser
 * that did paint shows a toolbar and text: dozens of colours, and no page is so empty that its toolbar, about a tenth of
 * the screen, would not take the largest share well below 99.5 %.
 */
const fewestColours = 4
const largestShare = 0.995

/**
 * Full-width strips by where they start, in thousandths of the screen's height: close together in the upper tenth, where a
 * browser has its tabs and its toolbar, and spread over the rest. A whole picture is a megabyte, which an emulated machine
 * that was just restored takes hundreds of milliseconds to send.
 */
const strips = [10, 30, 50, 70, 90, 200, 350, 500, 650, 800, 950]
const stripRows = 8

/** Has something been painted on the screen? Judged by a sample of it. */
export async function isPainted(screen: Screen, scope: Scope): Promise<boolean> {
  const histogram = new Uint32Array(256)
  let total = 0
  for (const { pixels } of await screen.readAll(stripsOf(screen.whole), scope)) {
    total += pixels.length / screen.pixelBytes
    for (let at = 0; at < pixels.length; at += screen.pixelBytes) {
      const colour = screen.pixelBytes === 1 ? pixels.readUInt8(at) : inOneByte(pixels, at)
      histogram[colour] = (histogram[colour] ?? 0) + 1
    }
  }
  const colours = histogram.filter((pixels) => pixels > 0)
  return colours.length >= fewestColours && Math.max(...colours) / total < largestShare
}

/** Distinct enough for a histogram; what the machine makes of it when it is asked for one byte a pixel. */
const inOneByte = (pixels: Buffer, at: number): number =>
  (pixels.readUInt8(at) & 0xc0) | ((pixels.readUInt8(at + 1) >> 5) << 3) | (pixels.readUInt8(at + 2) >> 5)

/** On a screen so low that they would overlap each is as high as the way to the next. */
function stripsOf({ width, height }: Region): Region[] {
  const starts = [...new Set(strips.map((start) => Math.floor((start * height) / 1000)))]
  return starts.map((y, n) => ({ x: 0, y, width, height: Math.min(stripRows, (starts[n + 1] ?? height) - y) }))
}
