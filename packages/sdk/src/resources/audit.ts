import type { paths } from '../openapi.gen.ts'
import type { AuditEntry, AuditVerification, Page } from '../resources.ts'
import type { CallOptions, Transport } from '../transport.ts'

export type ListAudit = NonNullable<paths['/v1/audit']['get']['parameters']['query']>

/** Who did what, for a key with the scope `operator`. */
export class Audit {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Newest first. */
  async list(query: ListAudit = {}, options: CallOptions = {}): Promise<Page<AuditEntry>> {
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/audit', { params: { query }, fetch }),
    )
  }

  /**
   * Reads all that is after `afterSeq` and names the first entry that is not as it was written. `checkpoint` is what you kept
   * elsewhere. Of a long audit it takes minutes: say `timeoutMs`.
   */
  async verify({
    afterSeq,
    checkpoint,
    ...options
  }: CallOptions & {
    afterSeq?: number | undefined
    checkpoint?: { seq: number; hash: string } | undefined
  } = {}): Promise<AuditVerification> {
    const query = {
      ...(afterSeq !== undefined && { after_seq: afterSeq }),
      ...(checkpoint !== undefined && { checkpoint: `${checkpoint.seq}:${checkpoint.hash}` }),
    }
    return await this.#transport.call(options, (fetch) =>
      this.#transport.api.GET('/v1/audit/verification', { params: { query }, fetch }),
    )
  }

  /** All after `afterSeq` as JSON lines in UTF-8, as they come; the last line is `{"checkpoint": …}`. */
  async export({
    afterSeq,
    signal = new AbortController().signal,
  }: Pick<CallOptions, 'signal'> & { afterSeq?: number | undefined } = {}): Promise<ReadableStream<Uint8Array>> {
    const query = afterSeq === undefined ? {} : { after_seq: afterSeq }
    return await this.#transport.stream(signal, (fetch) =>
      this.#transport.api.GET('/v1/audit/export', { params: { query }, parseAs: 'stream', fetch }),
    )
  }
}
