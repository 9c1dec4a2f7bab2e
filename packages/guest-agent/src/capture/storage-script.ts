/**
 * Storage of one origin, in Playwright's own format (its `storageState`, IndexedDB included).
 * These functions run in the browser: `String(collectStorage)` is sent there, so it must not use anything outside itself.
 */
export interface NamedValue {
  name: string
  value: string
}

export interface OriginStorage {
  localStorage: NamedValue[]
  indexedDB: IndexedDbDatabase[]
}

interface IndexedDbDatabase {
  name: string
  version: number
  stores: IndexedDbStore[]
}

interface IndexedDbStore {
  name: string
  autoIncrement: boolean
  keyPath?: string
  keyPathArray?: string[]
  records: IndexedDbRecord[]
  indexes: { name: string; keyPath?: string; keyPathArray?: string[]; multiEntry: boolean; unique: boolean }[]
}

/** Plain JSON values as they are, all others in Playwright's encoding of them. */
interface IndexedDbRecord {
  key?: unknown
  keyEncoded?: unknown
  value?: unknown
  valueEncoded?: unknown
}

export async function collectStorage(): Promise<OriginStorage> {
  const arrayKinds: Record<string, string> = {
    Int8Array: 'i8',
    Uint8Array: 'ui8',
    Uint8ClampedArray: 'ui8c',
    Int16Array: 'i16',
    Uint16Array: 'ui16',
    Int32Array: 'i32',
    Uint32Array: 'ui32',
    Float32Array: 'f32',
    Float64Array: 'f64',
    BigInt64Array: 'bi64',
    BigUint64Array: 'bui64',
  }
  const kindOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

  const toBase64 = (bytes: Uint8Array): string => {
    let binary = ''
    for (const byte of bytes) binary += String.fromCharCode(byte)
    return btoa(binary)
  }

  const isPlain = (value: unknown): boolean => {
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
    if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
    if (Array.isArray(value)) return value.every(isPlain)
    return kindOf(value) === 'Object' && Object.values(value as object).every(isPlain)
  }

  const encodePrimitive = (value: unknown): unknown => {
    if (value === undefined) return { v: 'undefined' }
    if (value === null) return { v: 'null' }
    if (typeof value === 'bigint') return { bi: value.toString() }
    if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
      return { v: Object.is(value, -0) ? '-0' : String(value) }
    return value
  }

  /** @throws for what the format cannot say: blobs, files, crypto keys */
  const encode = (value: unknown, seen: Map<object, number>): unknown => {
    if (typeof value !== 'object' || value === null) return encodePrimitive(value)
    const kind = kindOf(value)
    if (kind === 'Date') return { d: (value as Date).toJSON() }
    if (kind === 'RegExp') return { r: { p: (value as RegExp).source, f: (value as RegExp).flags } }
    if (kind === 'Error') {
      const { name, message, stack } = value as Error
      return { e: { n: name, m: message, s: stack ?? '' } }
    }
    const array = arrayKinds[kind]
    if (array !== undefined) {
      const { buffer, byteOffset, byteLength } = value as Uint8Array
      return { ta: { b: toBase64(new Uint8Array(buffer, byteOffset, byteLength)), k: array } }
    }
    if (kind === 'ArrayBuffer') return { ab: { b: toBase64(new Uint8Array(value as ArrayBuffer)) } }
    const known = seen.get(value)
    if (known !== undefined) return { ref: known }
    const id = seen.size + 1
    seen.set(value, id)
    if (Array.isArray(value)) return { a: value.map((item) => encode(item, seen)), id }
    if (kind === 'Map')
      return {
        m: [...(value as Map<unknown, unknown>)].map(([k, v]) => ({ k: encode(k, seen), v: encode(v, seen) })),
        id,
      }
    if (kind === 'Set') return { s: [...(value as Set<unknown>)].map((item) => encode(item, seen)), id }
    if (kind !== 'Object') throw new TypeError(`cannot be captured: ${kind}`)
    return { o: Object.entries(value).map(([k, v]) => ({ k, v: encode(v, seen) })), id }
  }

  const done = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })

  const path = (keyPath: string | string[] | null) =>
    keyPath === null ? {} : Array.isArray(keyPath) ? { keyPathArray: keyPath } : { keyPath }

  const toRecord = (key: unknown, value: unknown, inlineKey: boolean): IndexedDbRecord | undefined => {
    try {
      return {
        ...(inlineKey ? {} : isPlain(key) ? { key } : { keyEncoded: encode(key, new Map()) }),
        ...(isPlain(value) ? { value } : { valueEncoded: encode(value, new Map()) }),
      }
    } catch {
      return undefined // A missing record is honest; one with a hole in it would be taken for whole.
    }
  }

  const collectStore = async (store: IDBObjectStore): Promise<IndexedDbStore> => {
    const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())])
    const records = keys.map((key, index) => toRecord(key, values[index], store.keyPath !== null))
    const indexes = [...store.indexNames].map((name) => {
      const { keyPath, multiEntry, unique } = store.index(name)
      return { name, ...path(keyPath), multiEntry, unique }
    })
    return {
      name: store.name,
      autoIncrement: store.autoIncrement,
      ...path(store.keyPath),
      records: records.filter((record) => record !== undefined),
      indexes,
    }
  }

  const collectDatabase = async (name: string): Promise<IndexedDbDatabase> => {
    const database = await done(indexedDB.open(name))
    try {
      const names = [...database.objectStoreNames]
      if (names.length === 0) return { name, version: database.version, stores: [] }
      const transaction = database.transaction(names, 'readonly')
      const stores = await Promise.all(names.map((store) => collectStore(transaction.objectStore(store))))
      return { name, version: database.version, stores }
    } finally {
      database.close()
    }
  }

  const databases = await indexedDB.databases()
  return {
    localStorage: Object.entries(localStorage).map(([name, value]) => ({ name, value: String(value) })),
    indexedDB: await Promise.all(databases.flatMap(({ name }) => (name ? [collectDatabase(name)] : []))),
  }
}

export function collectSessionStorage(): NamedValue[] {
  return Object.entries(sessionStorage).map(([name, value]) => ({ name, value: String(value) }))
}
