import { AppError, parseJson } from '@anteroom/base'
import type { FastifyInstance } from 'fastify'

/** Far above the largest request of the API (a `return_url` of 2000 characters). */
export const bodyLimitBytes = 64 * 1024

/** JSON is the only body that is read; an absent or empty one counts as `{}`, so that the schema names what is missing. */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') return done(null, undefined)
    void parse(request, body, (error, value) => (error ? done(whyNotTaken(body)) : done(null, value)))
  })
  app.addHook('preValidation', async (request) => {
    request.body ??= {}
  })
}

/** Fastify's parser refuses JSON that could reach a prototype, too. */
const whyNotTaken = (body: string): AppError =>
  parseJson(body) === undefined
    ? new AppError('invalid_request', { detail: 'The body is not valid JSON.' })
    : new AppError('invalid_request', {
        fields: [{ pointer: '', message: 'must have no field __proto__, and no prototype in a field constructor' }],
      })
