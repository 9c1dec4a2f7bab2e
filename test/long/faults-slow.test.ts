import { mkdtempSync } from 'node:fs'
import { readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '@anteroom/base'
import { afterAll, beforeAll, expect } from 'vitest'
import { beside } from '../faults/harness/beside.ts'
import { scope } from '../faults/harness/breakable-host.ts'
import { type HttpsSite, onePage, serveHttps } from '../faults/harness/https-site.ts'
import { litter, untilSwept } from '../faults/harness/litter.ts'
import { publishCandidate, publishTrusting } from '../faults/harness/publish-candidate.ts'
import { endAsAsked, type FaultTest, faultTable, livesAndIsCancelled } from '../faults/harness/stage.ts'
import { startBuild } from '../faults/harness/start-build.ts'
import { machineNetwork } from '../harness/controller-process.ts'
import { GoldenCopy } from '../harness/golden-copy.ts'

const [trusted, unknown] = ['trusted.demo.test', 'unknown.demo.test']
let golden: GoldenCopy
const providers = mkdtempSync(join(tmpdir(), 'anteroom-providers-'))
let site: HttpsSite
let stranger: HttpsSite
beforeAll(async () => {
  stranger = await serveHttps(unknown, onePage(''))
  const asksStranger = `fetch('https://${unknown}:${stranger.port}/', { mode: 'no-cors' }).catch(() => fetch('/refused'))`
  site = await serveHttps(trusted, onePage(`<!doctype html><title>Sign in</title><script>${asksStranger}</script>`))
  await writeFile(
    join(providers, 'trusted.yaml'),
    `name: trusted
title: A site with a certificate
kind: website
start_url: https://${trusted}:${site.port}/
success: { any: [{ cookie: session }] }
capture: { cookies: [${trusted}] }
egress:
  allow: [${trusted}, ${unknown}]
  hosts: { ${trusted}: 127.0.0.1, ${unknown}: 127.0.0.1 }
`,
  )
})
afterAll(async () => {
  await Promise.all([site?.close(), stranger?.close()])
  await golden?.remove()
  await rm(providers, { recursive: true })
})

/** As if the packages had been installed without it, and everything after that had gone well. */
const missing = (what: string, program: string, words: string): FaultTest => ({
  ...{ id: 'G4', fault: `a build succeeds and ${what} is missing`, code: 'image_build_failed' },
  async inject(stage, made) {
    const before = await readlink(join(golden.images, 'current'))
    made()
    const refused = await publishCandidate(golden, [`rm ${program}`]).catch((error: unknown) => error)
    if (!(refused instanceof AppError)) throw refused
    expect(refused.detail).toContain(words)
    expect(await readlink(join(golden.images, 'current'))).toBe(before)
    expect((await readdir(golden.images)).filter((name) => name.startsWith('img_'))).toEqual([before])
    expect(await livesAndIsCancelled(stage)).toBeNull()
    return refused.code
  },
})

faultTable(
  'faults-slow',
  {
    config: { network: { pool: `${machineNetwork}.0/28`, kind: 'tap' }, demo: 'on' },
    async prepare() {
      golden = await GoldenCopy.make()
      return { images: golden.images }
    },
  },
  [
    {
      ...{ id: 'G3', fault: 'a build is killed half-way', code: null },
      async inject(stage, made) {
        const before = await readlink(join(golden.images, 'current'))
        const build = startBuild(golden)
        // Packages are installed by then, and nothing is mounted any more.
        await build.untilSaid(/^\[4\/\d\]/)
        await build.kill()
        made()
        expect(await readlink(join(golden.images, 'current'))).toBe(before)
        return await livesAndIsCancelled(stage)
      },
    },
    missing('the browser', '/usr/lib/chromium/chromium', 'the browser (Chromium) is crashed'),
    missing('Xtigervnc', '/usr/bin/Xtigervnc', 'the display (Xtigervnc) is lost'),
    missing('the agent', '/opt/anteroom/agent.mjs', 'the guest agent does not answer'),
    {
      ...{ id: 'G6', fault: 'the saved machine is of another processor: machines boot', code: null },
      async inject(_stage, made) {
        const undo = await golden.relabelSnapshots({ accelerator: 'kvm', host_cpu: 'model name: another processor' })
        try {
          return await scope.run({ name: 'no snapshot is built' }, async (inner) => {
            golden.holdBuilds(inner)
            made()
            return await beside('processor', {}, { images: golden.images }, async ({ api }) => {
              const { id } = await api.createSession('demo-site', 'ada')
              const { machine_origin } = await api.until(id, 'made', (session) => session.machine_origin !== null)
              expect(machine_origin).toBe('booted')
              const why = expect.stringContaining('no snapshot was made for this image on this host')
              expect((await api.pool()).snapshot).toMatchObject({ status: 'building', why })
              return await endAsAsked(api, id)
            })
          })
        } finally {
          await undo()
        }
      },
    },
    {
      ...{ id: 'H6', fault: 'the same comes up while it runs: swept within a minute, and counted', code: null },
      async inject({ controller }, made) {
        await litter(controller)
        made()
        await untilSwept(controller, 120_000)
        return null
      },
    },
    {
      ...{
        id: 'H13',
        fault: 'a site’s certificate began years after the clock of the saved machine: it is taken',
        code: null,
      },
      async inject(_stage, made) {
        const undo = await publishTrusting(golden, site.authority)
        const config = { providers_dir: providers, demo: 'off' } as const
        const code = await beside('certificate', config, { images: golden.images }, async ({ api }) => {
          made()
          const { id } = await api.createSession('trusted', 'ada')
          await scope.run({ name: 'the page asks', deadlineMs: 120_000 }, (inner) =>
            inner.until(() => site.requests.includes('/refused') || undefined, 50),
          )
          expect((await api.session(id)).machine_origin).toBe('restored')
          // Of an authority that the machine does not know.
          expect(stranger.requests).toEqual([])
          return await endAsAsked(api, id)
        })
        await undo()
        return code
      },
    },
  ],
)
