import type { ComponentProps } from 'react'
import styles from './button.module.css'

type Look = 'primary' | 'quiet' | 'danger' | 'bare'

export const buttonClass = (look: Look): string => `${styles.button} ${styles[look]}`

export function Button({ look = 'quiet', ...props }: ComponentProps<'button'> & { look?: Look }) {
  return <button type="button" {...props} className={buttonClass(look)} />
}
