/** One entry of the closed list; see errors.ts. */
export interface ErrorDefinition {
  /** HTTP status when the code answers a request (RFC 9457 `status`). */
  readonly status: number
  readonly title: string
  /** May the same request, unchanged, succeed later? */
  readonly retryable: boolean
  /** One sentence for the account owner; no jargon. */
  readonly person: string
  /** What an operator or integrator should do. */
  readonly hint: string
}

/** For the account owner, where the truth is the operator's business alone. */
export const again = 'Something went wrong on our side. Please start again.'
