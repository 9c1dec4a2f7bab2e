import { signInSideBySide } from '../e2e/harness/side-by-side.ts'

signInSideBySide(10)
