import { compareClones } from './harness/clones.ts'

/** `npm run test:long` compares ten. */
compareClones(4)
