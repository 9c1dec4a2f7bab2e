import { AppError } from '@anteroom/base'

/** Where the hosted page may lead people when they are done: nobody can make it an open redirect. */
export class ReturnAddresses {
  readonly #origins: ReadonlySet<string>

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins)
  }

  /**
   * The address as browsers write it: `https:\\evil` and the like mean to them what is judged here, and nothing else.
   * @throws AppError return_url_refused
   */
  require(text: string): string {
    const url = new URL(text)
    const why = this.#whyNot(url)
    if (why === undefined) return url.href
    throw new AppError('return_url_refused', { fields: [{ pointer: '/return_url', message: why }] })
  }

  /** null for one that the list has no more. */
  ifAllowed(text: string | null): string | null {
    const url = text === null ? null : URL.parse(text)
    return url !== null && this.#whyNot(url) === undefined ? url.href : null
  }

  #whyNot({ protocol, origin, username, password }: URL): string | undefined {
    // `blob:https://app.example.com/…` has the origin of what it is made by.
    if (!/^https?:$/.test(protocol)) return 'must be an https or http address'
    // People take `https://bank.example@evil.example` for the bank's.
    if (username !== '' || password !== '') return 'must not hold a name or password'
    return this.#origins.has(origin) ? undefined : `leads to ${origin}, which hosted_page.return_origins does not name`
  }
}
