import { z } from 'zod'

/** Prefix of each kind of id. An id is `<prefix>_` and 24 lower-case base32 characters (120 random bits). */
export const idPrefixes = {
  session: 'ses',
  machine: 'vm',
  image: 'img',
  connection: 'con',
  credential: 'crd',
  key: 'key',
  project: 'prj',
  ticket: 'tkt',
  event: 'evt',
  request: 'req',
} as const
export type IdKind = keyof typeof idPrefixes

const idSchema = (kind: IdKind) =>
  z
    .string()
    .regex(
      new RegExp(`^${idPrefixes[kind]}_[a-z2-7]{24}$`),
      `must look like ${idPrefixes[kind]}_ and 24 letters or digits`,
    )

export const sessionId = idSchema('session')
export const machineId = idSchema('machine')
export const connectionId = idSchema('connection')
export const credentialId = idSchema('credential')
export const keyId = idSchema('key')
export const projectId = idSchema('project')

/** Of everything that was made before there were projects, or by somebody who names none. */
export const defaultProjectId = `prj_${'a'.repeat(24)}`

/** `vwr_` and 24 hexadecimal characters, made of the ticket's hash: it says nothing about the ticket. */
export const viewerId = z.string().regex(/^vwr_[0-9a-f]{24}$/, 'must look like vwr_ and 24 hexadecimal digits')

/** `img_` and the first 24 hexadecimal characters of the SHA-256 of the manifest's content part. */
export const imageId = z.string().regex(/^img_[0-9a-f]{24}$/)

/** `snp_` and the first 24 hexadecimal characters of the SHA-256 of the snapshot's key. */
export const snapshotId = z.string().regex(/^snp_[0-9a-f]{24}$/)
