import { AppError, CommandError, parseJson, runCommand, type Scope, Secret } from '@anteroom/base'
import { z } from 'zod'
import type { KeyProvider, KeyProviderSettings } from './key-provider.ts'

const wrapAnswer = z.object({
  wrapped: z
    .string()
    .min(1)
    .max(64 * 1024),
  root_id: z.string().max(500).optional(),
})
const unwrapAnswer = z.object({ plaintext: z.base64() })

/**
 * A program of the operator's that stands before a key service: the root key need never be in this process. It is started without a
 * shell for each call, reads one JSON object from its standard input and prints one (docs/reference/vault.md):
 * `{"protocol":1,"operation":"wrap","key_id":…,"plaintext":base64}` → `{"wrapped":text,"root_id"?:text}`;
 * `{"protocol":1,"operation":"unwrap","key_id":…,"wrapped":text}` → `{"plaintext":base64}`.
 */
export function commandKeyProvider(settings: Extract<KeyProviderSettings, { provider: 'command' }>): KeyProvider {
  const [file = '', ...args] = settings.command
  const where = `The command ${file}`

  async function ask<T>(request: object, answer: z.ZodType<T>, what: string, scope: Scope): Promise<T> {
    const input = JSON.stringify({ protocol: 1, ...request })
    const limits = { name: `${what} a key of the vault`, deadlineMs: settings.timeout_seconds * 1000 }
    const stdout = await scope
      .run(limits, async (inner) => (await runCommand(inner, file, args, { input })).stdout)
      .catch((error: unknown) => {
        scope.throwIfOver()
        throw refused(where, what, whyFailed(error, settings.timeout_seconds), error)
      })
    const parsed = answer.safeParse(parseJson(stdout))
    // What it printed is not repeated: it may be a key.
    if (!parsed.success) throw refused(where, what, 'it did not print the JSON object that the protocol asks for')
    return parsed.data
  }

  return {
    kind: 'command',
    where,
    async wrap(key, keyId, scope) {
      const request = { operation: 'wrap', key_id: keyId, plaintext: key.expose().toString('base64') }
      const { wrapped, root_id } = await ask(request, wrapAnswer, 'wrap', scope)
      return { wrapped, rootId: root_id ?? 'command' }
    },
    async unwrap({ wrapped }, keyId, scope) {
      const request = { operation: 'unwrap', key_id: keyId, wrapped }
      const { plaintext } = await ask(request, unwrapAnswer, 'unwrap', scope)
      return new Secret(Buffer.from(plaintext, 'base64'))
    },
  }
}

/** Its last words alone: they say most, and are seldom a secret. */
function whyFailed(error: unknown, timeoutSeconds: number): string {
  if (error instanceof AppError && error.code === 'deadline_exceeded')
    return `it did not end within ${timeoutSeconds} s`
  if (!(error instanceof CommandError)) return 'it could not be run'
  const { exitCode, notStarted, stderr } = error.failure
  if (notStarted !== null) return notStarted === 'ENOENT' ? 'it is not there' : 'it may not be executed'
  const last = stderr.trim().split('\n').at(-1)?.slice(0, 300) ?? ''
  return `it ended with ${exitCode ?? 'a signal'}${last === '' ? '' : `: ${last}`}`
}

const refused = (where: string, what: string, why: string, cause?: unknown): AppError =>
  new AppError('vault_unavailable', {
    detail: `${where} of vault.key could not ${what} a key of the vault: ${why}. Try it by hand; its protocol is in docs/reference/vault.md.`,
    cause,
  })
