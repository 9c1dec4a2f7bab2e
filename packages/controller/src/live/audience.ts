import { AppError, type Clock } from '@anteroom/base'
import type { LiveCloseReason, Viewer } from '@anteroom/contract'
import type { View } from './gateway.ts'
import type { Admission, Holder, LiveAccess } from './live.ts'

/** One view of a screen, from its admission on. */
export class OpenView {
  readonly id: string
  readonly holder: Holder
  readonly since: number
  asksForControl = false
  /** Until then it need not be asked again. */
  refusedUntil = 0
  /** The viewer sees the screen. */
  isShown = false
  isStopped = false
  readonly stopped: Promise<LiveCloseReason>
  onDemoted: View['onDemoted'] = () => {}
  readonly #stop: (reason: LiveCloseReason) => void
  #access: LiveAccess

  constructor({ access, holder, viewerId }: Admission, since: number) {
    const { promise, resolve } = Promise.withResolvers<LiveCloseReason>()
    this.id = viewerId
    this.holder = holder
    this.since = since
    this.stopped = promise
    this.#stop = resolve
    this.#access = access
  }

  get access(): LiveAccess {
    return this.#access
  }

  stop(reason: LiveCloseReason): void {
    this.isStopped = true
    this.#stop(reason)
  }

  promote(): void {
    this.#access = 'control'
    this.asksForControl = false
  }

  demote(): void {
    if (this.#access === 'view') return
    this.#access = 'view'
    this.onDemoted()
  }
}

/** A question takes the keyboard from whoever types: once refused, it does not come again at once. */
const refusalMs = 30_000

/** What others are told of it when it changes. */
export interface Company {
  readonly watching: number
  readonly asking: number
}

/** Everybody who sees a screen: one has control, the others look on. Of this process only, as their sockets are. */
export class Audience {
  readonly #views = new Map<string, Set<OpenView>>()
  readonly #told = new Map<string, string>()
  readonly #clock: Clock
  readonly #maxViewers: number
  readonly #tell: (sessionId: string, company: Company) => void

  constructor(clock: Clock, maxViewers: number, tell: (sessionId: string, company: Company) => void) {
    this.#clock = clock
    this.#maxViewers = maxViewers
    this.#tell = tell
  }

  of(sessionId: string): OpenView[] {
    return [...(this.#views.get(sessionId) ?? [])]
  }

  all(): OpenView[] {
    return [...this.#views.values()].flatMap((views) => [...views])
  }

  isFull(sessionId: string): boolean {
    return (
      this.of(sessionId).filter(({ access, isStopped }) => access === 'view' && !isStopped).length >= this.#maxViewers
    )
  }

  enter(admission: Admission): OpenView {
    const { sessionId, access } = admission
    const view = new OpenView(admission, this.#clock.now())
    // Of several that were admitted at once.
    if (access === 'view' && this.isFull(sessionId)) view.stop('viewers_full')
    const views = this.#views.get(sessionId) ?? new Set()
    this.#views.set(sessionId, views.add(view))
    return view
  }

  /** The viewer sees the screen. With control it takes that from whoever had it. */
  show(sessionId: string, view: OpenView): void {
    view.isShown = true
    if (view.access === 'control') this.#takeFromOthers(sessionId, view)
    this.#changed(sessionId)
  }

  leave(sessionId: string, view: OpenView): void {
    const views = this.#views.get(sessionId)
    views?.delete(view)
    if (views?.size === 0) this.#views.delete(sessionId)
    this.#changed(sessionId)
  }

  /** @throws AppError viewer_gone; forbidden when it is not the asker's; rate_limited soon after a refusal */
  ask(sessionId: string, viewerId: string, asker: Holder): void {
    const view = this.require(sessionId, viewerId)
    if (!isSame(view.holder, asker)) throw new AppError('forbidden', { detail: 'This is not a view of yours.' })
    const waitMs = view.refusedUntil - this.#clock.now()
    if (waitMs > 0) throw new AppError('rate_limited', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
    view.asksForControl = view.access === 'view'
    this.#changed(sessionId)
  }

  /** @throws AppError viewer_gone */
  answer(sessionId: string, viewerId: string, give: boolean): void {
    const view = this.require(sessionId, viewerId)
    view.asksForControl = false
    view.refusedUntil = give ? 0 : this.#clock.now() + refusalMs
    if (give) {
      view.promote()
      for (const other of this.of(sessionId)) if (other !== view) other.demote()
    }
    this.#changed(sessionId)
  }

  /** As `asker` may see it, who came first being the first. */
  list(sessionId: string, asker: Holder): Viewer[] {
    return this.#shown(sessionId).map(({ id, access, holder, asksForControl, since }) => ({
      ...{ id, access, by: kindOf(holder), is_you: isSame(holder, asker), asks_for_control: asksForControl },
      since: new Date(since).toISOString(),
    }))
  }

  #shown(sessionId: string): OpenView[] {
    return this.of(sessionId).filter(({ isShown, isStopped }) => isShown && !isStopped)
  }

  /** @throws AppError viewer_gone */
  require(sessionId: string, viewerId: string): OpenView {
    const view = this.#shown(sessionId).find(({ id }) => id === viewerId)
    if (!view) throw new AppError('viewer_gone')
    return view
  }

  /** A second window of the same person replaces the first; whoever was handed control before looks on again. */
  #takeFromOthers(sessionId: string, view: OpenView): void {
    for (const other of this.of(sessionId)) {
      if (other === view || other.access !== 'control') continue
      if (other.holder.principal === view.holder.principal) other.stop('replaced')
      else other.demote()
    }
  }

  /** Whoever has a screen for themselves needs not be told so each time their line is cut. */
  #changed(sessionId: string): void {
    const others = this.#shown(sessionId).filter(({ access }) => access === 'view')
    const now = others.map(({ id, asksForControl }) => `${id} ${asksForControl}`).join()
    if (now === (this.#told.get(sessionId) ?? '')) return
    if (now === '') this.#told.delete(sessionId)
    else this.#told.set(sessionId, now)
    this.#tell(sessionId, {
      watching: others.length,
      asking: others.filter(({ asksForControl }) => asksForControl).length,
    })
  }
}

const isSame = (one: Holder, other: Holder): boolean => one.principal === other.principal && one.cookie === other.cookie

function kindOf({ principal }: Holder): Viewer['by'] {
  if (principal.startsWith('visitor ')) return 'account_owner'
  return principal === 'operator' ? 'operator' : 'key'
}
