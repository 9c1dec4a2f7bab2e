import { readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { GoldenCopy } from '../harness/golden-copy.ts'
import { beside } from './harness/beside.ts'
import { BreakableHost, scope } from './harness/breakable-host.ts'
import { askForSession, endAsAsked, type FaultTest, faultTable, refusal } from './harness/stage.ts'
import { startBuild } from './harness/start-build.ts'

let golden: GoldenCopy
const host = new BreakableHost()
afterAll(async () => {
  await golden?.remove()
  await host.remove()
})

const refusedWhile =
  (breakIt: () => Promise<() => Promise<void>>): FaultTest['inject'] =>
  async (stage, made) => {
    const undo = await breakIt()
    made()
    try {
      return refusal(await askForSession(stage))
    } finally {
      await undo()
    }
  }

const flip = (content: Buffer): Buffer => {
  const middle = Math.floor(content.length / 2)
  content.writeUInt8(content.readUInt8(middle) ^ 1, middle)
  return content
}

/** Beside a controller whose machines are made like this no snapshot fits, and it says so. */
const bootsBeside =
  (vmmOf: () => Promise<{ binary?: string; memory_mib?: number }>): FaultTest['inject'] =>
  (_stage, made) =>
    scope.run({ name: 'no snapshot is built' }, async (inner) => {
      golden.holdBuilds(inner)
      const vmm = { ...(await vmmOf()), accelerator: 'tcg' } as const
      return await beside('snapshot', { vmm }, { images: golden.images }, async ({ api }) => {
        made()
        const { id } = await api.createSession('demo-site', 'ada')
        const { machine_origin } = await api.until(id, 'made', (session) => session.machine_origin !== null)
        expect(machine_origin).toBe('booted')
        expect((await api.pool()).snapshot).toMatchObject({
          status: 'building',
          why: 'no snapshot was made for this image on this host with this configuration',
        })
        return await endAsAsked(api, id)
      })
    })

faultTable(
  'golden-image',
  {
    async prepare() {
      golden = await GoldenCopy.make()
      await host.prepare()
      return { images: golden.images }
    },
  },
  [
    {
      ...{ id: 'G1', fault: 'there is no current image', code: 'image_missing' },
      inject: refusedWhile(() => golden.hideImage()),
    },
    {
      ...{ id: 'G2', fault: 'the kernel is truncated', code: 'image_corrupt' },
      inject: refusedWhile(() =>
        golden.changeImageFile('kernel', (content) => content.subarray(0, content.length / 2)),
      ),
    },
    {
      ...{ id: 'G2', fault: 'one bit of the initial RAM disk is another', code: 'image_corrupt' },
      inject: refusedWhile(() => golden.changeImageFile('initrd', flip)),
    },
    {
      ...{ id: 'G3', fault: 'another build runs', code: 'image_build_locked' },
      async inject(_stage, made) {
        const release = golden.holdImageBuilds()
        const build = startBuild(golden)
        made()
        try {
          await build.untilSaid(/image_build_locked/)
          return 'image_build_locked'
        } finally {
          await build.kill()
          release()
        }
      },
    },
    {
      ...{ id: 'G5', fault: 'the image is replaced while a machine runs on it', code: null },
      async inject(stage, made) {
        const before = await readlink(join(golden.images, 'current'))
        const another = await golden.publishAnother()
        made()
        const { id } = await stage.controller.api.createSession('demo-site', 'ada')
        const live = await stage.controller.api.until(id, 'live', ({ status }) => status === 'ready')
        expect(live.image_id).toBe(another)
        expect(stage.bystander.image_id).toBe(before)
        // The files of the other stay as long as somebody runs on them.
        expect((await stat(join(golden.images, before, 'rootfs'))).size).toBeGreaterThan(0)
        const code = await endAsAsked(stage.controller.api, id)
        await golden.makeCurrent(before)
        return code
      },
    },
    {
      ...{ id: 'G6', fault: 'the saved machine is of another QEMU: machines boot', code: null },
      inject: bootsBeside(async () => {
        await host.replaceMonitor(
          'case " $* " in *" --version "*) echo QEMU emulator version 7.2.99 ;; *) exec qemu-system-x86_64 "$@" ;; esac',
        )
        return { binary: host.monitor }
      }),
    },
    {
      ...{ id: 'G6', fault: 'the saved machine has another size of memory: machines boot', code: null },
      inject: bootsBeside(async () => ({ memory_mib: 1280 })),
    },
    {
      ...{ id: 'G7', fault: 'the agent of the image speaks another protocol', code: 'agent_incompatible' },
      inject: refusedWhile(async () => {
        const before = await readlink(join(golden.images, 'current'))
        await golden.publishAnother({ agent_protocol: 99 })
        return () => golden.makeCurrent(before)
      }),
    },
  ],
)
