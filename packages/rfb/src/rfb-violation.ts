/** Bytes that are not RFB, or that ask for more than is allowed. Says what, for the log; never shown to a person. */
export class RfbViolation extends Error {
  override readonly name = 'RfbViolation'
}
