import { signInSideBySide } from './harness/side-by-side.ts'

/** `npm run test:long` has ten. */
signInSideBySide(2)
