import { signInSideBySide } from '../e2e/harness/side-by-side.ts'

/** SIGN_INS: fewer, for whoever has no time. */
signInSideBySide(Number(process.env.SIGN_INS ?? 10))
