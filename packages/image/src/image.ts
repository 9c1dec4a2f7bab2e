/** The golden image builder: Debian, kernel, initial RAM disk, boot test, manifest, publication. */
export { type BuildOptions, buildImage } from './build-image.ts'
export type { BuildProgress, BuildStep } from './build-progress.ts'
export type { PublishedImage } from './publish.ts'
