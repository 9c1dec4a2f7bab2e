/** X keysyms (X11 protocol, appendix A) of keys that write no character. */
export const keysyms = {
  Backspace: 0xff08,
  Tab: 0xff09,
  Enter: 0xff0d,
  Escape: 0xff1b,
  ArrowLeft: 0xff51,
  ArrowUp: 0xff52,
  ArrowRight: 0xff53,
  ArrowDown: 0xff54,
  Delete: 0xffff,
  ControlLeft: 0xffe3,
  AltLeft: 0xffe9,
} as const

/** Latin-1 has its own keysyms; everything else is its code point with bit 24 set. */
export function keysymOf(character: string): number {
  if (character === '\n') return keysyms.Enter
  const code = character.codePointAt(0) ?? 0
  return (code >= 0x20 && code <= 0x7e) || (code >= 0xa0 && code <= 0xff) ? code : 0x01000000 + code
}

/**
 * What was typed on a phone's keyboard, told from a text field before and after: such keyboards send no key events that
 * name a key, and rewrite whole words when they correct.
 */
export function typedBetween(before: string, after: string): { erase: number; insert: string[] } {
  const old = Array.from(before)
  const now = Array.from(after)
  let same = 0
  while (same < old.length && same < now.length && old[same] === now[same]) same += 1
  return { erase: old.length - same, insert: now.slice(same) }
}
