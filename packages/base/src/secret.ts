import { inspect } from 'node:util'

/** A value that prints as `[secret]` wherever it is printed by accident: logs, JSON, templates, inspect, errors. */
export class Secret<T> {
  readonly #value: T
  constructor(value: T) {
    this.#value = value
  }
  /** The value itself. Every call is a place to review. */
  expose(): T {
    return this.#value
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [inspect.custom](): string {
    return '[secret]'
  }
}
