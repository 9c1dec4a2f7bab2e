import type { Viewer } from '@anteroom/contract'
import type { LiveTicket } from './live-line.ts'

/** Who else is at the screen, seen from one of its views. */
export interface Company {
  /** Has this view keyboard and mouse? */
  readonly hasControl: boolean
  /** Is this the view of whoever the screen belongs to? They give keyboard and mouse, and take them back. */
  readonly isOwner: boolean
  readonly asks: boolean
  /** All but this view. */
  readonly others: readonly Viewer[]
  /** Has keyboard and mouse while this view has not. */
  readonly controller: Viewer | undefined
  /** Looks on, and asks for keyboard and mouse. */
  readonly asking: Viewer | undefined
}

/** What is known of the viewers may be older than the view itself. */
export function companyOf(viewers: readonly Viewer[], ticket: LiveTicket): Company {
  const own = viewers.find(({ id }) => id === ticket.viewer_id)
  const others = viewers.filter((viewer) => viewer !== own)
  const hasControl = (own?.access ?? ticket.access) === 'control'
  return {
    hasControl,
    isOwner: ticket.access === 'control',
    asks: own?.asks_for_control ?? false,
    others,
    controller: others.find(({ access }) => access === 'control'),
    asking: others.find(({ asks_for_control }) => asks_for_control),
  }
}

const names = {
  account_owner: 'the account owner',
  operator: 'the operator of this service',
  key: 'somebody from the app that sent you here',
} as const satisfies Record<Viewer['by'], string>

/** Within a sentence. */
export const nameOf = ({ by }: Pick<Viewer, 'by'>): string => names[by]

const capital = (sentence: string): string => sentence.charAt(0).toUpperCase() + sentence.slice(1)

/** A sentence about whoever has keyboard and mouse. */
export const controlWords = (controller: Viewer | undefined): string =>
  controller ? `${capital(nameOf(controller))} has keyboard and mouse.` : 'You are looking on.'

export const watchingWords = (count: number): string =>
  count === 1 ? '1 other is watching' : `${count} others are watching`
