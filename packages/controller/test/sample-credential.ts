import type { CaptureSummary, CredentialValue } from '@anteroom/contract'

export const sampleTokens: Extract<CredentialValue, { kind: 'oauth2' }> = {
  kind: 'oauth2',
  issuer: 'https://idp.example.com',
  client_id: 'client',
  access_token: 'an access token',
  token_type: 'Bearer',
  refresh_token: null,
  id_token: null,
  scope: 'openid',
  expires_at: null,
}

/** What a guest says of `sampleTokens`. */
export const sampleSummary: CaptureSummary = {
  kind: 'oauth2',
  tokens: ['access_token'],
  scopes: ['openid'],
  cookies: 0,
  origins: [],
  local_storage: 0,
  session_storage: 0,
  indexed_db: 0,
}
