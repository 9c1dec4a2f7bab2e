import { z } from 'zod'
import { projectId } from './ids.ts'
import { printableName } from './key.ts'

/** A tenant. What its keys make belongs to it, and nothing else is there for them. */
export const project = z.object({
  id: projectId,
  name: z.string(),
  created_at: z.iso.datetime(),
})
export type Project = z.infer<typeof project>

export const createProject = z.strictObject({ name: printableName })
export type CreateProject = z.infer<typeof createProject>
