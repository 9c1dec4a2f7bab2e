import { expect, test } from 'vitest'
import { RotationCrash } from '../crash/rotation-crash.ts'

test('a rotation of the vault’s key that dies at any await loses nothing, and is gone on with', async () => {
  await using crash = await RotationCrash.make()
  const points = await crash.points()
  const missed = []
  for (const point of points) if ((await crash.dieAt(point)) === 'missed') missed.push(point)
  console.log(`rotation: it died at ${points.length - missed.length} of ${points.length} moments`)
  expect(missed).toEqual([])
})
