import { expect, test } from 'vitest'
import { pagesInBrowser } from '../../test/pages-in-browser.ts'
import {
  failed,
  ready,
  sampleAudit,
  sampleConnection,
  sampleDiagnosis,
  sampleDoctor,
  sampleEgress,
  sampleImage,
  sampleMachine,
  samplePool,
  sampleProvider,
  sampleSession,
} from '../../test/sample.ts'

const pages = pagesInBrowser()
const { newPage } = pages

test('the dashboard: sign in, connect, look at a failure, delete a connection', async () => {
  pages.api.operator.providers = [sampleProvider]
  pages.api.operator.problems = [{ file: 'github.yaml', line: 7, field: 'egress', message: 'is missing' }]
  pages.api.operator.sessions = [failed({ id: `ses_${'z'.repeat(24)}` })]
  pages.api.operator.connections = [sampleConnection]
  const page = await newPage()
  await page.goto(pages.api.url)
  await page.getByText('npm start').waitFor()
  await page.goto(`${pages.api.url}/sign-in#token=once`)
  await page.getByText('github.yaml:7').waitFor()
  expect(page.url()).toBe(`${pages.api.url}/`)

  await page.getByRole('button', { name: 'Failed' }).click()
  await page.getByText(String(failed().failure?.detail)).waitFor()
  await page.getByRole('button', { name: 'Delete ada@example.com at demo' }).click()
  await page.getByRole('button', { name: 'Delete', exact: true }).click()
  await page.getByText('A completed session makes one').waitFor()

  pages.api.become(sampleSession())
  await page.getByRole('button', { name: 'Connect Demo identity' }).click()
  const [tab] = await Promise.all([
    page.context().waitForEvent('page'),
    page.getByRole('button', { name: 'Start' }).click(),
  ])
  await tab.getByRole('heading', { name: 'Connect Demo identity' }).waitFor()
})

test('signing in at an OpenID provider: its answer leaves the address, the name is told, and signing out leads back', async () => {
  pages.api.ways = { issuer: 'id.example.com', links: false }
  const page = await newPage()
  await page.goto(pages.api.url)
  const button = page.getByRole('button', { name: 'Sign in with id.example.com' })
  await button.click()
  await page.getByText('Ada Lovelace').waitFor()
  expect(page.url()).toBe(`${pages.api.url}/`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await button.waitFor()
  expect(await page.getByText('npm start').count()).toBe(0)
  pages.api.stranger = true
  await button.click()
  await page.getByText('you are not allowed to run this service').waitFor()
  expect(page.url()).toBe(`${pages.api.url}/sign-in/answer`)
})

test('the dashboard tells machines that wait from those of sessions, and why fewer wait than wanted', async () => {
  const waits = { ...sampleMachine, id: `vm_${'w'.repeat(24)}`, session_id: null, origin: null, vm_ip: '10.213.0.6' }
  pages.api.operator.machines = [sampleMachine, waits]
  pages.api.operator.images = [sampleImage]
  const page = await newPage()
  await page.goto(`${pages.api.url}/sign-in#token=once`)
  const machines = page.getByRole('region', { name: 'Machines' })
  await machines.getByText('woken from the pool').waitFor()
  await machines.getByText('waits in the pool').waitFor()
  await page.getByText('of 3 wanted, 1 to 4 by demand').waitFor()
  await page.getByText('a session is starting').waitFor()
  await page.getByText('Machines are restored from it').waitFor()

  const reason = { code: 'insufficient_memory', detail: '900 MiB are free' } as const
  const snapshot = { status: 'failed', code: 'snapshot_build_failed', why: 'not painted' } as const
  pages.api.operator.pool = { ...samplePool, size: 2, wanted: 2, ready: 0, filling: 1, reason, snapshot }
  await page.getByText('of 2 wanted, 1 on the way, a fixed number').waitFor()
  await page.getByText('insufficient_memory').waitFor()
  await page.getByText('snapshot_build_failed').waitFor()
})

test('the dashboard explains a session: what, what to do, which lines say so, who else', async () => {
  pages.api.operator.sessions = [failed({ id: `ses_${'z'.repeat(24)}` })]
  const page = await newPage()
  await page.goto(`${pages.api.url}/sign-in#token=once`)
  await page.getByRole('button', { name: 'Failed' }).click()
  await page.getByText(sampleDiagnosis.summary).waitFor()
  await page.getByText('free some, or lower limits.max_machines').waitFor()
  await page.getByText('Out of memory: Killed process 412').waitFor()
  await page.getByText('3 of 14 sessions of the last 24 hours ended so').waitFor()
})

test('the operator looks on at a session that is live, and at no other', async () => {
  pages.api.operator.sessions = [ready(), failed({ id: `ses_${'z'.repeat(24)}` })]
  pages.api.become(ready())
  pages.api.agreed = true
  pages.api.isOwner = false
  pages.api.access = 'view'
  const page = await newPage()
  await page.goto(`${pages.api.url}/sign-in#token=once`)
  const lookOn = page.getByRole('link', { name: 'Look on' })
  await page.getByRole('button', { name: 'Failed' }).click()
  await page.getByText(sampleDiagnosis.summary).waitFor()
  expect(await lookOn.count()).toBe(0)
  await page.getByRole('button', { name: 'Signing in' }).click()
  const [tab] = await Promise.all([page.context().waitForEvent('page'), lookOn.click()])
  await tab.getByRole('button', { name: 'Ask for control' }).waitFor()
})

test.each([
  ['desktop', { width: 1280, height: 900 }],
  ['phone', { width: 360, height: 740 }],
])('the dashboard shows where the machine of a session went: %s', async (_, viewport) => {
  pages.api.operator.sessions = [failed({ id: `ses_${'z'.repeat(24)}` })]
  pages.api.operator.egress = sampleEgress
  const page = await newPage()
  await page.setViewportSize(viewport)
  await page.goto(`${pages.api.url}/sign-in#token=once`)
  await page.getByRole('button', { name: 'Failed' }).click()
  const egress = page.getByRole('region', { name: 'Where its machine went' })
  await egress.getByText('4 hosts, 1 refused').waitFor()
  await egress.getByText('6 times · 9 kB sent · 413 kB received').waitFor()
  await egress.getByText('update.googleapis.com is not in egress.allow').waitFor()
  const box = await egress.boundingBox()
  expect((box?.x ?? 0) + (box?.width ?? Number.POSITIVE_INFINITY)).toBeLessThanOrEqual(viewport.width)
})

test('the dashboard tells what is not well on the host, and what to do', async () => {
  const remedy = 'Run npm run image.'
  pages.api.operator.doctor = {
    ...sampleDoctor,
    verdict: 'failed',
    checks: sampleDoctor.checks.map((check) =>
      check.name === 'image' ? { ...check, verdict: 'failed', found: 'its files are damaged', remedy } : check,
    ),
  }
  const page = await newPage()
  await page.goto(`${pages.api.url}/sign-in#token=once`)
  await page.getByText('Something is wrong that must be repaired: image').waitFor()
  const doctor = page.getByRole('region', { name: 'Doctor' })
  await doctor.getByText('its files are damaged').waitFor()
  await doctor.getByText(remedy).waitFor()
  pages.api.operator.doctor = sampleDoctor
  await doctor.getByRole('button', { name: 'Look again' }).click()
  await doctor.getByText('All is well').waitFor()
  const all = sampleDoctor.checks.length
  await doctor.getByText(`${all} of ${all} checks are well`).click()
  await doctor.getByText('vault key').waitFor()
})

test('a used sign-in link says how to get a new one', async () => {
  const page = await newPage()
  await page.goto(`${pages.api.url}/sign-in#token=used`)
  await page.getByText('This sign-in link is used up').waitFor()
  await page.getByText('npm start').waitFor()
})

test('the dashboard tells who did what, by what, by whom, to which, a page at a time', async () => {
  const [first] = sampleAudit
  if (!first) throw new Error('the sample has no entry')
  pages.api.operator.audit = [
    ...sampleAudit.map((entry) => ({ ...entry, seq: entry.seq + 40 })),
    ...Array.from({ length: 40 }, (_, n) => ({ ...first, seq: 40 - n, action: 'session.extended' as const })),
  ]
  const page = await newPage()
  await page.goto(`${pages.api.url}/sign-in#token=once`)
  const audit = page.getByRole('region', { name: 'Audit' })
  await audit.getByRole('cell', { name: /credential\.read/ }).waitFor()
  expect(await audit.getByRole('row').count()).toBe(26)

  await page.getByRole('button', { name: 'Older' }).click()
  await audit.getByRole('cell', { name: /credential\.read/ }).waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Newer' }).click()
  await audit.getByRole('cell', { name: /credential\.read/ }).waitFor()

  await audit.getByLabel('What').selectOption('entry.refused')
  await expect.poll(() => audit.getByRole('row').count()).toBe(2)
  await audit.getByText('refused', { exact: true }).waitFor()
  await audit.getByLabel('What').selectOption('Everything')
  await audit.getByLabel('By').selectOption('Account owners')
  await audit.getByRole('cell', { name: /account owner of/ }).waitFor()
  await audit.getByLabel('By').selectOption('Everybody')
  await audit.getByRole('searchbox', { name: 'To' }).fill(`ses_${'x'.repeat(24)}`)
  await audit.getByText('Nothing like this was done.').waitFor()
})
