import type { ErrorCode, Outcome, Session } from '@anteroom/contract'
import type { Api } from '../harness/api.ts'

/** What was asked of a controller, and what it has said, until it died. */
export class Told {
  readonly subjects: string[] = []
  /** Answers that bind it, by session. */
  readonly promised = new Map<string, Outcome>()
  /** Sessions whose machines were killed. */
  readonly killed = new Set<string>()
  /** The controller died while the first page of one of them was on its way. */
  wasOpening = false
}

/** What a story is told with. */
export interface Cast {
  readonly api: Api
  readonly provider: string
  readonly told: Told
  /** Unique in the whole sweep. */
  readonly name: string
  /** Called when the first session of the story is live. */
  whenLive(): Promise<void>
  killMachine(id: string): Promise<void>
  killWaitingMachine(): Promise<void>
}

/** The codes with which a session whose machine was killed may end. */
export const codesOfDeath: readonly ErrorCode[] = ['vmm_exited']

/** The ways of a session; cheap ones first, because whatever several pass is passed in the first of them. */
export const stories = {
  'is cancelled': async (cast) => {
    const id = await begin(cast)
    await live(cast, id)
    await cancel(cast, id)
  },

  completes: async (cast) => {
    const id = await begin(cast)
    await live(cast, id)
    await sayThatSignedIn(cast, id)
    await ended(cast, id)
  },

  'loses its machine': async (cast) => {
    const id = await begin(cast)
    const { browser_vm_id } = await live(cast, id)
    cast.told.killed.add(id)
    await cast.killMachine(browser_vm_id ?? '')
    await ended(cast, id)
  },

  'of two at once': async (cast) => {
    const ids = await Promise.all([begin(cast, 'a'), begin(cast, 'b')])
    for (const id of ids) await live(cast, id)
    for (const id of ids) await cancel(cast, id)
  },

  'gets a machine that died while it waited': async (cast) => {
    await cast.killWaitingMachine()
    const id = await begin(cast)
    await live(cast, id)
    await cancel(cast, id)
  },
} as const satisfies Record<string, (cast: Cast) => Promise<void>>
export type StoryName = keyof typeof stories

async function begin({ api, provider, told, name }: Cast, suffix = ''): Promise<string> {
  const subject = `${name}${suffix}`
  // First of all: a session whose request got no answer may be there all the same.
  told.subjects.push(subject)
  return (await api.createSession(provider, subject)).id
}

async function live({ api, whenLive }: Cast, id: string): Promise<Session> {
  const session = await api.until(id, 'live', ({ status }) => status === 'ready', 60_000)
  await whenLive()
  return session
}

async function ended({ api, told }: Cast, id: string): Promise<void> {
  const { outcome } = await api.until(id, 'ended', ({ status }) => status === 'ended', 60_000)
  if (outcome !== null) told.promised.set(id, outcome)
}

async function cancel(cast: Cast, id: string): Promise<void> {
  await expectOk(cast.api, `/v1/sessions/${id}/cancel`)
  cast.told.promised.set(id, 'cancelled')
  await ended(cast, id)
}

/** As soon as its page is on the screen. */
async function sayThatSignedIn({ api, told }: Cast, id: string): Promise<void> {
  await api.until(id, 'at its page', ({ stages }) => stages.some(({ name }) => name === 'sign_in'), 60_000)
  await expectOk(api, `/v1/sessions/${id}/capture`)
  told.promised.set(id, 'completed')
}

async function expectOk(api: Api, path: string): Promise<void> {
  const { status, body } = await api.call('POST', path, { body: {} })
  if (status >= 300) throw new Error(`POST ${path}: ${status} ${JSON.stringify(body)}`)
}
