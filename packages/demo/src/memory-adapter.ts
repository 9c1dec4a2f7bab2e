import type { Clock } from '@anteroom/base'
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

interface Entry {
  readonly payload: AdapterPayload
  readonly expiresAtMs: number
}

/** What the demo's provider remembers, for the life of this process. oidc-provider's own store warns that it is not for production. */
export function createMemoryAdapter(clock: Clock): AdapterFactory {
  return (): Adapter => {
    const entries = new Map<string, Entry>()

    const find = (id: string): AdapterPayload | undefined => {
      const entry = entries.get(id)
      if (entry && entry.expiresAtMs > clock.now()) return entry.payload
      entries.delete(id)
      return undefined
    }
    const findBy = (field: 'uid' | 'userCode', value: string): AdapterPayload | undefined =>
      [...entries.keys()].map(find).find((payload) => payload?.[field] === value)

    return {
      async upsert(id, payload, expiresInSeconds) {
        // Nobody asks again for most entries, so that they would stay for ever.
        for (const known of entries.keys()) find(known)
        const lifetimeMs = expiresInSeconds ? expiresInSeconds * 1000 : Number.POSITIVE_INFINITY
        entries.set(id, { payload, expiresAtMs: clock.now() + lifetimeMs })
      },
      find: async (id) => find(id),
      findByUid: async (uid) => findBy('uid', uid),
      findByUserCode: async (userCode) => findBy('userCode', userCode),
      async consume(id) {
        const payload = find(id)
        if (payload) payload.consumed = Math.floor(clock.now() / 1000)
      },
      async destroy(id) {
        entries.delete(id)
      },
      async revokeByGrantId(grantId) {
        for (const [id, { payload }] of entries) if (payload.grantId === grantId) entries.delete(id)
      },
    }
  }
}
