import type { ProviderDefinition, ProviderSummary } from '@anteroom/contract'

/** What a person is told before they sign in: where they will be, and what will be handed over. */
export const summarise = (definition: ProviderDefinition, demo: boolean): ProviderSummary => ({
  name: definition.name,
  title: definition.title,
  kind: definition.kind,
  opens: opens(definition),
  captures: captures(definition),
  demo,
})

function opens(definition: ProviderDefinition): string {
  if (definition.kind === 'website') return definition.start_url
  // The shape asks for one of the two.
  return definition.authorization_endpoint ?? definition.issuer ?? ''
}

function captures(definition: ProviderDefinition): string[] {
  if (definition.kind === 'website')
    return [
      ...definition.capture.cookies.map((pattern) => `Cookies of ${inWords(pattern)}`),
      ...definition.capture.storage.map((origin) => `What ${origin} has stored in the browser`),
    ]
  const lasting = definition.scopes.includes('offline_access')
  const scopes = definition.scopes.filter((scope) => scope !== 'offline_access')
  return [
    ...(scopes.length > 0 ? [`Access to your account: ${scopes.join(', ')}`] : []),
    ...(lasting ? ['Lasting access: it goes on after you have left, until it is revoked'] : []),
  ]
}

const inWords = (pattern: string): string =>
  pattern.startsWith('*.') ? `${pattern.slice(2)} and all sites below it` : pattern
