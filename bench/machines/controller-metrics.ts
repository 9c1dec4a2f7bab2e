import type { Api } from '../../test/harness/api.ts'

/** What a controller counts of itself, by name; NaN where there is none of that name. */
export async function metricsOf(api: Api): Promise<(name: string) => number> {
  const { text } = (await api.call('GET', '/metrics')).body as { text: string }
  return (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}
