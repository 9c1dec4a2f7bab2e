/** A kernel module as the builder sees it. */
export interface KernelModule {
  /** As the kernel names it, with underscores. */
  readonly name: string
  /** Content of the object file, not compressed. */
  readonly content: Buffer
}

/** `virtio-rng.ko.xz` is the module virtio_rng: file names use either sign, the kernel underscores. */
export const moduleName = (fileName: string): string =>
  (fileName.split('/').at(-1) ?? '').replace(/\.ko(\.xz)?$/, '').replaceAll('-', '_')

/**
 * The modules with all that they need, each after what it needs: the order to load them in. `load` answers undefined for a
 * module that the kernel has built in.
 */
export async function inLoadOrder(
  names: readonly string[],
  load: (name: string) => Promise<Buffer | undefined>,
): Promise<KernelModule[]> {
  const ordered = new Map<string, KernelModule>()
  const visiting = new Set<string>()
  const visit = async (name: string): Promise<void> => {
    if (visiting.has(name)) return
    visiting.add(name)
    const content = await load(name)
    if (!content) return
    for (const dependency of dependenciesOf(content)) await visit(dependency)
    ordered.set(name, { name, content })
  }
  for (const name of names) await visit(name)
  return [...ordered.values()]
}

/** From the `.modinfo` section: NUL-terminated `key=value` strings (include/linux/moduleparam.h); depmod reads the same. */
export function dependenciesOf(content: Buffer): string[] {
  const key = '\0depends='
  const start = content.indexOf(key, 0, 'latin1')
  if (start < 0) return []
  const end = content.indexOf(0, start + key.length)
  const list = content.toString('latin1', start + key.length, end)
  return list === '' ? [] : list.split(',').map((name) => name.replaceAll('-', '_'))
}
