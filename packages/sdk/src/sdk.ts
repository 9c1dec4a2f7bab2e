/** What programmers install: a typed client of the v1 API. */
export { Anteroom } from './anteroom.ts'
export { AnteroomError, type ErrorCode, type FieldProblem } from './anteroom-error.ts'
export { errorDefinitions } from './errors.gen.ts'
export type { ListConnections } from './resources/connections.ts'
export type { CreateKey } from './resources/keys.ts'
export type { CreateSession, ListSessions, RepeatSignIn } from './resources/sessions.ts'
export type * from './resources.ts'
export type { AnteroomOptions, CallOptions, CreateOptions } from './transport.ts'
