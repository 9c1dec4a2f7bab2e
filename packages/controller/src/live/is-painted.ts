import { AppError, type Scope } from '@anteroom/base'
import { isPainted as isScreenPainted, openMachine, type RfbEndpoint } from '@anteroom/rfb'

const deadlineMs = 10_000

/** Undefined while the machine's RFB server does not answer, or answers with something else than a picture. */
export async function isPainted(endpoint: RfbEndpoint, scope: Scope): Promise<boolean | undefined> {
  try {
    return await scope.run({ name: 'look at the screen', deadlineMs }, async (inner) =>
      isScreenPainted(await openMachine(endpoint, inner, 1), inner),
    )
  } catch (error) {
    scope.throwIfOver()
    scope.log.debug({ error: AppError.from(error, 'display_blank') }, 'the screen does not answer yet')
    return undefined
  }
}
