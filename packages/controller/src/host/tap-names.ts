/** The namespace and the host's end of the link into it have one name; at most 15 characters (IFNAMSIZ). */
export const tapNames = (tag: string, index: number) => ({
  namespace: `ar-${tag}-${index}`,
  hostLink: `ar-${tag}-${index}`,
  /** The other end of that link, inside the namespace. */
  uplink: 'up0',
  tap: 'tap0',
})

/** The index in such a name; undefined when the name is not of this instance. */
export function indexOfName(tag: string, name: string): number | undefined {
  const digits = name.startsWith(`ar-${tag}-`) ? name.slice(`ar-${tag}-`.length) : ''
  return /^(0|[1-9]\d{0,3})$/.test(digits) ? Number(digits) : undefined
}
