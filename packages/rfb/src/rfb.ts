/** A machine's screen, keyboard and mouse: RFB 3.8 (RFC 6143) as a client speaks it, and the greeting of a server. */
export * from './connect.ts'
export { greetClient, sharedClientInit } from './handshake.ts'
export * from './is-painted.ts'
export type { MachineStream, Sink } from './machine-stream.ts'
export * from './read-exactly.ts'
export * from './rfb-violation.ts'
export * from './screen.ts'
export * from './vnc-auth.ts'
