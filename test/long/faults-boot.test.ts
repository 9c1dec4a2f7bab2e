import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll } from 'vitest'
import { scope } from '../faults/harness/breakable-host.ts'
import { endOf, type FaultTest, faultTable } from '../faults/harness/stage.ts'
import { machineNetwork } from '../harness/controller-process.ts'
import { GoldenCopy } from '../harness/golden-copy.ts'

const recipe = resolve(import.meta.dirname, '../../packages/image/recipe')
let golden: GoldenCopy
afterAll(() => golden?.remove())

/** How a session ends whose machine boots with this /init of its RAM disk. */
const bootsWith =
  (init: () => Promise<string>): FaultTest['inject'] =>
  async (stage, made) => {
    const undo = await golden.publishWithInit(await init())
    try {
      const { id } = await stage.controller.api.createSession('demo-site', 'ada')
      made()
      return await endOf(stage, id)
    } finally {
      await undo()
    }
  }

/** The image's own, but this program of the system never comes to anything. */
const hanging = (program: string) => async (): Promise<string> => {
  const handsOver = '  exec $bb switch_root'
  const init = await readFile(join(recipe, 'initrd/init'), 'utf8')
  if (!init.includes(handsOver)) throw new Error('the /init of the recipe hands over in another way')
  const stub = `printf '#!/usr/bin/busybox sh\\nexec /usr/bin/busybox sleep 86400\\n' >/root${program}`
  return init.replace(handsOver, `  ${stub} &&\n${handsOver}`)
}

faultTable(
  'faults-boot',
  {
    config: { network: { pool: `${machineNetwork}.0/28` }, timeouts: { boot_seconds: 60 } },
    async prepare() {
      golden = await GoldenCopy.make()
      // Of what does not boot no snapshot can be built.
      golden.holdBuilds(scope)
      return { images: golden.images }
    },
  },
  [
    {
      ...{ id: 'H4', fault: 'the guest hangs before its user space', code: 'boot_timeout' },
      inject: bootsWith(async () => '#!/bin/busybox sh\nexec /bin/busybox sleep 86400\n'),
    },
    {
      ...{ id: 'H4', fault: 'the agent never starts', code: 'agent_unreachable' },
      inject: bootsWith(hanging('/opt/anteroom/agent')),
    },
    {
      ...{ id: 'H4', fault: 'the agent starts and the screen stays black', code: 'display_blank' },
      inject: bootsWith(hanging('/usr/lib/chromium/chromium')),
    },
  ],
)
