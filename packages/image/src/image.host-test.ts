import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, runCommand, Scope } from '@anteroom/base'
import { snapshotId, snapshotManifest } from '@anteroom/contract'
import { buildSnapshot, type SnapshotImage } from '@anteroom/snapshot'
import { end, isAlive, startVmm, tailOf, vmmFiles } from '@anteroom/vmm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileNames, intactCurrent, type PublishedImage } from './publish.ts'

/** `npm test` builds them and says where. */
const images = process.env.TEST_IMAGES
const current = images === undefined ? undefined : await intactCurrent(images)
const why = images === undefined ? 'TEST_IMAGES is not set' : `${images} has no intact image`

describe.skipIf(!current)(current ? `the golden image ${current.id}` : `the golden image (skipped: ${why})`, () => {
  const image = current as PublishedImage
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anteroom-image-'))
  })
  afterAll(() => rm(directory, { recursive: true }))

  const save = (subject: SnapshotImage, name: string) =>
    buildSnapshot(
      {
        ...{ image: subject, snapshots: join(directory, name), onTrouble: async (text) => console.error(text) },
        shape: { binary: 'qemu-system-x86_64', accelerator: 'tcg', memoryMiB: 1536, vcpus: 2 },
      },
      Scope.root('test'),
    )

  const subject = () => ({
    id: image.id,
    kernel: join(image.directory, 'kernel'),
    initrd: join(image.directory, 'initrd'),
    rootfs: join(image.directory, 'rootfs'),
    commandLine: image.manifest.command_line,
  })

  /** Runs the machine until it ends by itself; gives what it wrote on its console. */
  const runToItsEnd = (commandLine: string): Promise<string> =>
    Scope.root('test').run({ name: 'machine', deadlineMs: 90_000 }, async (scope) => {
      const files = await mkdtemp(join(directory, 'vm-'))
      const machine = {
        id: newId('machine'),
        instance: 'imgtst',
        binary: 'qemu-system-x86_64',
        accelerator: 'tcg',
      } as const
      const place = { network: null, runAs: null, directory: files, memoryMiB: 256, vcpus: 1 }
      const { kernel, initrd } = subject()
      const origin = { kind: 'boot', kernel, initrd, commandLine, memoryFile: null } as const
      const vmm = await startVmm({ ...machine, ...place, origin, wanted: 'running', rootfs: null }, scope)
      scope.defer(() => end(vmm.identity, Scope.root('end')))
      await scope.until(async () => ((await isAlive(vmm.identity)) ? undefined : true), 50)
      return await tailOf(vmmFiles(files).console, 65_536)
    })

  test('takes at most 1.3 GB on disk', async () => {
    const files = await Promise.all(fileNames.map((name) => stat(join(image.directory, name))))
    const bytes = files.reduce((sum, { blocks }) => sum + blocks * 512, 0)
    expect(bytes).toBeLessThan(1.3e9)
  })

  test('was booted as a machine boots, and a copy of the saved machine showed the same picture, sooner', async () => {
    // By who built it, which is minutes ago where it was built by `npm test`.
    const snapshots = join(image.directory, '../../snapshots')
    const saved = (await readdir(snapshots)).filter((name) => snapshotId.safeParse(name).success)
    const manifests = await Promise.all(
      saved.map(async (id) =>
        snapshotManifest.parse(JSON.parse(await readFile(join(snapshots, id, 'manifest.json'), 'utf8'))),
      ),
    )
    const ofThis = manifests.filter(({ key }) => key.image_id === image.id)
    expect(ofThis).not.toEqual([])
    for (const { boot, restore_test } of ofThis) {
      expect(boot.painted_ms).toBeGreaterThanOrEqual(boot.hello_ms)
      expect(restore_test.painted_ms).toBeLessThan(boot.painted_ms)
    }
  })

  test('asked for the probe it says so and powers off', async () => {
    const console = await runToItsEnd('anteroom.probe')
    expect(console).toContain('anteroom: init')
    expect(console).toContain('anteroom: probe ok')
  })

  test('without its disk the kernel panics on the console and the machine ends', async () => {
    const console = await runToItsEnd(image.manifest.command_line)
    expect(console).toContain('anteroom: the root file system could not be mounted')
    expect(console).toContain('Kernel panic')
  })

  test('an image that does not come up is not saved, saying what is missing', async () => {
    const broken = { ...subject(), rootfs: join(image.directory, 'initrd') }
    await expect(save(broken, 'broken')).rejects.toMatchObject({
      code: 'snapshot_build_failed',
      detail: expect.stringContaining('the machine stopped'),
    })
    const left = await readdir(join(directory, 'broken'))
    expect(left.filter((name) => /^(snp_|\.build)/.test(name))).toEqual([])
  })

  test.each([
    ['/home', 'person', '040700', 1000],
    ['/home', 'screen', '040700', 1001],
    ['/opt/anteroom', 'agent.mjs', '100644', 0],
    ['/opt/anteroom', 'start.html', '100644', 0],
    ['/etc/chromium/policies/managed', 'anteroom.json', '100644', 0],
    ['/etc/xdg/openbox', 'rc.xml', '100644', 0],
  ])('%s/%s has mode %s and belongs to %i', async (path, name, mode, uid) => {
    // Lines of `/inode/mode/uid/gid/name/size/`.
    const { stdout } = await runCommand(Scope.root('test'), 'debugfs', ['-R', `ls -p ${path}`, subject().rootfs])
    const entry = stdout
      .split('\n')
      .map((line) => line.split('/'))
      .find((fields) => fields[5] === name)
    expect(entry?.slice(2, 5)).toEqual([mode, String(uid), String(uid)])
  })

  test('names the packages that it is made of', () => {
    const names = image.manifest.packages.map((entry) => entry.name)
    expect(names).toEqual(expect.arrayContaining(['chromium', 'tigervnc-standalone-server', 'openbox', 'nodejs']))
    expect(image.manifest.packages.every((entry) => /^\S+$/.test(entry.version))).toBe(true)
  })
})
