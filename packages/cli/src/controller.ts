import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@anteroom/base'
import { isErrorCode, problem } from '@anteroom/contract'
import { z } from 'zod'

const whereabouts = z.object({ url: z.url() })

/** The controller that runs on this state directory, asked with the operator's key. */
export class Controller {
  readonly #url: string
  readonly #key: string

  private constructor(url: string, key: string) {
    this.#url = url
    this.#key = key
  }

  /** @throws AppError controller_unreachable when none runs */
  static async of(home: string): Promise<Controller> {
    try {
      const { url } = whereabouts.parse(JSON.parse(await readFile(join(home, 'run/controller.json'), 'utf8')))
      return new Controller(url, (await readFile(join(home, 'operator.key'), 'utf8')).trim())
    } catch (cause) {
      throw new AppError('controller_unreachable', { detail: `no controller runs on ${home}`, cause })
    }
  }

  /** @throws AppError with the code of the answer, controller_unreachable */
  async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return await this.#ask(path, {}, schema)
  }

  /** @throws AppError with the code of the answer, controller_unreachable */
  async post<T>(path: string, body: object, schema: z.ZodType<T>): Promise<T> {
    const headers = { 'content-type': 'application/json' }
    return await this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) }, schema)
  }

  async #ask<T>(path: string, { headers, ...request }: RequestInit, schema: z.ZodType<T>): Promise<T> {
    const authorised = { ...headers, authorization: `Bearer ${this.#key}` }
    const response = await fetch(this.#url + path, { ...request, headers: authorised }).catch((cause: unknown) => {
      throw new AppError('controller_unreachable', { detail: `${this.#url} does not answer`, cause })
    })
    const content: unknown = await response.json().catch(() => undefined)
    if (response.ok) return schema.parse(content)
    const told = problem.safeParse(content)
    const code = told.data?.code ?? ''
    throw new AppError(isErrorCode(code) ? code : 'internal', {
      detail: told.data?.detail ?? `${path}: ${response.status}`,
    })
  }
}
