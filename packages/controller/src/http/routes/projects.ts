import { createProject, project } from '@anteroom/contract'
import { z } from 'zod'
import type { HttpApp, RouteContext } from '../http-deps.ts'
import { page, pageOf, projectParams } from './parameters.ts'

const tags = ['keys']
const config = { access: { scope: 'operator' } } as const

export function projectRoutes(app: HttpApp, { access: { projects } }: RouteContext): void {
  app.get(
    '/v1/projects',
    {
      config,
      schema: {
        tags,
        summary: 'List projects, newest first',
        querystring: z.strictObject(page),
        response: { 200: pageOf(project) },
      },
    },
    (request) => projects.list(request.query),
  )
  app.post(
    '/v1/projects',
    {
      config,
      schema: {
        tags,
        summary: 'Make a project, whose sessions and connections no other sees',
        body: createProject,
        response: { 201: project },
      },
    },
    async (request, reply) => {
      const made = await projects.create(request.body)
      return reply.code(201).header('location', `/v1/projects/${made.id}`).send(made)
    },
  )
  app.get(
    '/v1/projects/:id',
    { config, schema: { tags, summary: 'One project', params: projectParams, response: { 200: project } } },
    (request) => projects.get(request.params.id),
  )
}
