/** The golden snapshot: a machine of an image, booted once to its painted start page and saved, from which others are restored. */
export { type BuildOptions, buildSnapshot, type SnapshotImage } from './build-snapshot.ts'
export { type MachineShape, snapshotIdOf, snapshotKeyOf } from './key.ts'
export { type PublishedSnapshot, readSnapshot, snapshotVerifier, vouchFor } from './publish.ts'
