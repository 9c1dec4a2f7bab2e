import { expect, test } from 'vitest'
import { RotationCrash } from './rotation-crash.ts'
import { seed, shuffled } from './sweep.ts'

/** Each costs two seconds; `npm run test:long` goes through all of them. */
const sampleSize = 5

test(`a rotation of the vault’s key that dies at any await loses nothing, and is gone on with (seed ${seed})`, async () => {
  await using crash = await RotationCrash.make()
  const died = []
  for (const point of shuffled(await crash.points(), (each) => each).slice(0, sampleSize))
    died.push(await crash.dieAt(point))
  expect(died).toEqual(Array(sampleSize).fill('died'))
}, 120_000)
