/** What every process of Anteroom stands on: errors, scopes, clock, secrets, commands. */
export * from './app-error.ts'
export * from './clock.ts'
export * from './command.ts'
export * from './log.ts'
export * from './new-id.ts'
export * from './scope.ts'
export * from './secret.ts'
