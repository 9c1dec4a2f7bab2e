import { type KeyboardEvent, type RefObject, useRef } from 'react'
import type { Screen } from '../live/screen.ts'
import { keysymOf, keysyms, typedBetween } from '../live/typed-text.ts'
import styles from './soft-keyboard.module.css'

/** Something to erase: a phone's keyboard reports Backspace only as the loss of a character. */
const filler = '_'.repeat(64)

const isNamedKey = (key: string): key is keyof typeof keysyms => Object.hasOwn(keysyms, key)

/** An unseen field: focused, it brings up a phone's keyboard, and what is typed into it goes to the screen. */
export function SoftKeyboard({ field, screen }: { field: RefObject<HTMLTextAreaElement | null>; screen: Screen }) {
  const before = useRef(filler)
  const refill = (): void => {
    if (!field.current) return
    field.current.value = filler
    before.current = filler
    field.current.setSelectionRange(filler.length, filler.length)
  }
  const onInput = (): void => {
    const after = field.current?.value ?? filler
    const { erase, insert } = typedBetween(before.current, after)
    before.current = after
    for (let i = 0; i < erase; i += 1) screen.press(keysyms.Backspace)
    for (const character of insert) screen.press(keysymOf(character))
    // Not at each character: the keyboard would forget the word it is completing.
    if (after.length < 8 || after.length > 2 * filler.length) refill()
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!isNamedKey(event.key) || event.key === 'Backspace') return
    event.preventDefault()
    screen.press(keysyms[event.key])
    if (event.key === 'Enter') refill()
  }
  return (
    <textarea
      ref={field}
      className={styles.field}
      defaultValue={filler}
      aria-label="Keyboard of the private computer"
      tabIndex={-1}
      autoCapitalize="off"
      autoComplete="off"
      autoCorrect="off"
      spellCheck={false}
      onInput={onInput}
      onKeyDown={onKeyDown}
      onFocus={refill}
      // What was typed may be a password: it does not stay in the page.
      onBlur={refill}
    />
  )
}
