import { compareClones } from '../e2e/harness/clones.ts'

compareClones(10)
