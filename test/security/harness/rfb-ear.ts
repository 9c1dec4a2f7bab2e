/**
 * Cuts what a machine was sent into messages as its server would, by rules of its own and not by the gateway's, and tells the first one
 * that is more than looking on; undefined: there is none. What is left over at the end is a message that did not arrive whole.
 */
export function reachedInput(sent: Buffer): string | undefined {
  for (let at = 0; at < sent.length; ) {
    const type = sent.readUInt8(at)
    const length = lengthOf(type, sent.subarray(at))
    if (length === undefined) return `a message of type ${type}: ${sent.subarray(at, at + 24).toString('hex')}`
    at += length
  }
  return undefined
}

/** Of those that only ask for pictures. undefined: it is another one. */
function lengthOf(type: number, message: Buffer): number | undefined {
  switch (type) {
    case 0:
      return 20
    case 2:
      return message.length < 4 ? message.length : 4 + 4 * message.readUInt16BE(2)
    case 3:
    case 150:
      return 10
    case 248:
      return message.length < 9 ? message.length : 9 + message.readUInt8(8)
    default:
      return undefined
  }
}
