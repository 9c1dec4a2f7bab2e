import type { Scope } from '@anteroom/base'
import { openMachine, openScreenWithoutPassword, type Region, type Screen } from '@anteroom/rfb'
import { missingForMachines, startMeasured, untilPoolIsReady } from '../machines/controller-under-measure.ts'
import { untilHostRests } from '../machines/host-at-rest.ts'
import { letterChanged, untilLoginField } from '../machines/login-page.ts'
import { machineEndpoint } from '../machines/machine-endpoint.ts'
import { PageVisit } from '../machines/page-visit.ts'
import type { BenchContext, Figure, Report, Suite } from '../report.ts'
import { percentile } from '../statistics.ts'

const ways = ['straight', 'through the gateway'] as const
type Way = (typeof ways)[number]

const overLimitMs = 5
/** Between two keys: the last one's pixels are all there, and the caret, which blinks every 500 ms, has not blinked yet. */
const pauseMs = 150
/** So many letters are typed, then as many deleted. */
const lineLength = 8
const backspace = 0xff08
const keyMs = 10_000

export const keyToPixelsSuite: Suite = {
  name: 'key-to-pixels',
  title: 'Key to changed pixels at the viewer, through the gateway and straight to the machine',
  missing: missingForMachines,
  run,
}

async function run(context: BenchContext, scope: Scope): Promise<Report> {
  const keys = context.quick ? 20 : 200
  const controller = await startMeasured('keys', context, { pool: { size: 0 } }, scope)
  await untilPoolIsReady(controller, scope)
  const created = await controller.api.createSession('demo-site', 'bench')
  const page = await PageVisit.enter(created, scope)
  await page.untilReady(scope)
  const endpoint = await machineEndpoint(controller.home, await controller.api.session(created.id))
  const screens: Readonly<Record<Way, Screen>> = {
    straight: await openMachine(endpoint, scope),
    'through the gateway': await openScreenWithoutPassword(await page.live(scope), scope),
  }
  context.progress('waiting for the login page')
  const field = await untilLoginField(screens.straight, scope)
  await untilHostRests(scope)
  const values: Record<Way, number[]> = { straight: [], 'through the gateway': [] }
  for (let n = 0; n < keys; n++) {
    // The same keys on both ways; who is first takes turns.
    for (const way of n % 2 === 0 ? ways : ways.toReversed())
      values[way].push(await pressed(screens[way], field, n, scope))
    if ((n + 1) % 20 === 0) context.progress(`${n + 1} of ${keys} keys on each way`)
  }
  return { figures: figuresOf(values), notes }
}

/** Milliseconds from the key to the first pixels that it changes. */
async function pressed(screen: Screen, field: Region, n: number, scope: Scope): Promise<number> {
  return await scope.run({ name: 'a key', deadlineMs: keyMs }, async (inner) => {
    await inner.clock.delay(pauseMs, inner.signal)
    const before = await screen.read(inner, field)
    // Asked before the key goes out, as a viewer that waits for changes has.
    const changed = letterChanged(screen, before, inner)
    const pressedAt = inner.clock.monotonic()
    screen.press(n % (2 * lineLength) < lineLength ? 'm'.charCodeAt(0) : backspace)
    await changed
    return inner.clock.monotonic() - pressedAt
  })
}

function figuresOf(values: Readonly<Record<Way, readonly number[]>>): Figure[] {
  const over = percentile(values['through the gateway'], 95) - percentile(values.straight, 95)
  const target = { text: `p95 at most ${overLimitMs} ms over straight`, met: over <= overLimitMs }
  return [
    { name: 'straight', unit: 'ms', values: values.straight },
    { name: 'through the gateway', unit: 'ms', values: values['through the gateway'], baseline: 'straight', target },
    { name: 'the gateway at p95 over straight', unit: 'ms', values: [over] },
  ]
}

const notes = [
  'One machine at the login page of the demo site; letters are typed into its name field and deleted again, the same on both ways, which take turns. From the key event being written until a change of the field that is more than the blinking caret has been read.',
  'Both viewers are on the same machine at the same time; each asks for changes only while its own key is under way. Pictures are sent raw, so that nothing is compressed or decoded.',
]
