import { Scope } from '@anteroom/base'
import { afterEach, expect, test } from 'vitest'
import { openMachine } from './connect.ts'
import { isPainted } from './is-painted.ts'
import { startServer, type TestScreen, type TestServer } from './rfb.fixture.ts'

const scope = Scope.root('test')
let server: TestServer
afterEach(() => server?.close())

const white = 0xffffff
const [width, height] = [1280, 800]
const screenOf = (colour: (x: number, y: number) => number): TestScreen => ({ width, height, colour })
const isIn = (x: number, y: number, left: number, top: number, columns: number, rows: number): boolean =>
  x >= left && x < left + columns && y >= top && y < top + rows

/** A pointer of two colours, in the middle of a strip. */
const pointer = (x: number, y: number): number | undefined =>
  isIn(x, y, 640, 396, 16, 16) ? (x % 2 ? 0x000000 : 0x808080) : undefined
/** Tabs, buttons and an address, as grey on grey as a browser has them; nothing below. */
const toolbar = (x: number, y: number): number | undefined => {
  if (y >= 86) return undefined
  if (isIn(x, y, 40, 12, 90, 10) || isIn(x, y, 150, 58, 260, 10)) return x % 3 ? 0x202124 : 0x9aa0a6
  return y < 41 ? 0xdee1e6 : 0xffffff
}

test.each<[boolean, string, (x: number, y: number) => number]>([
  [false, 'nothing', () => 0x000000],
  [false, 'nothing but the pointer', (x, y) => pointer(x, y) ?? 0x000000],
  [false, 'a window without contents on a bare screen', (x, y) => (isIn(x, y, 100, 100, 900, 600) ? white : 0)],
  [false, 'a window without contents over all of it, and the pointer', (x, y) => pointer(x, y) ?? white],
  [false, 'many colours, in a corner', (x, y) => (isIn(x, y, 0, 796, 8, 4) ? x << 21 : white)],
  [true, 'a browser with an empty page', (x, y) => toolbar(x, y) ?? white],
  [true, 'a page with text and no toolbar', (x, y) => (isIn(x, y, 300, 200, 500, 300) ? (x % 7) << 21 : white)],
  [true, 'a picture everywhere', (x, y) => (x << 13) ^ (y << 4)],
])('%s for %s', async (expected, _, colour) => {
  server = await startServer(screenOf(colour))
  for (const pixelBytes of [1, 4] as const)
    expect(await isPainted(await openMachine(server.endpoint, scope, pixelBytes), scope)).toBe(expected)
})

test('a small part of the screen is asked for, its upper tenth more closely', async () => {
  server = await startServer(screenOf((x) => x << 13))
  await isPainted(await openMachine(server.endpoint, scope, 1), scope)
  const asked = server.received.filter(([type]) => type === 3)
  const rows = asked.map((request) => ({ top: request.readUInt16BE(4), count: request.readUInt16BE(8) }))
  expect(asked.every((request) => request.readUInt16BE(6) === width)).toBe(true)
  expect(rows.reduce((sum, { count }) => sum + count, 0)).toBeLessThan(height / 8)
  expect(rows.filter(({ top }) => top < height / 10).length).toBeGreaterThanOrEqual(3)
  expect(rows.at(-1)?.top).toBeGreaterThan(0.9 * height)
})

test('a screen of a few rows', async () => {
  server = await startServer({ width: 40, height: 3, colour: (x, y) => ((x + y) % 8) << 21 })
  expect(await isPainted(await openMachine(server.endpoint, scope), scope)).toBe(true)
})
