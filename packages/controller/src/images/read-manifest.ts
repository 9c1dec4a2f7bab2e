import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, systemErrorCode } from '@anteroom/base'
import { type ImageManifest, imageContentText, imageId, imageManifest } from '@anteroom/contract'

/**
 * The manifest of an image, which the image's own id vouches for.
 * @throws AppError image_missing, image_corrupt
 */
export async function readManifest(directory: string, id: string): Promise<ImageManifest> {
  // Not a name of ours: a path that leads elsewhere is not followed.
  if (!imageId.safeParse(id).success) throw new AppError('image_corrupt', { detail: `${id} is not the id of an image` })
  const path = join(directory, id, 'manifest.json')
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw missingOr(error, path)
  })
  const manifest = parse(text, path)
  const expected = `img_${createHash('sha256').update(imageContentText(manifest)).digest('hex').slice(0, 24)}`
  if (manifest.id === id && expected === id) return manifest
  throw new AppError('image_corrupt', { detail: `${path} describes another image` })
}

export const missingOr = (error: unknown, path: string): AppError =>
  systemErrorCode(error) === 'ENOENT'
    ? new AppError('image_missing', { detail: `${path} does not exist`, cause: error })
    : new AppError('image_corrupt', { detail: `${path} cannot be read`, cause: error })

function parse(text: string, path: string): ImageManifest {
  try {
    return imageManifest.parse(JSON.parse(text))
  } catch (error) {
    throw new AppError('image_corrupt', { detail: `${path} is not a manifest`, cause: error })
  }
}
