import openapiTypescript, { astToString } from 'openapi-typescript'

/** The types of the API from its description. */
export async function generateTypes(document: object): Promise<string> {
  // Its type of a document is older than OpenAPI 3.1 as it is written here.
  const nodes = await openapiTypescript(document as never, { defaultNonNullable: false })
  return `/** Generated from /openapi.json; see openapi-sdk.test.ts of the controller. */\n${astToString(nodes)}`
}

export const generateErrors = (definitions: object): string =>
  `/** Generated from the contract; see openapi-sdk.test.ts of the controller. */\nexport const errorDefinitions = ${JSON.stringify(definitions, null, 2)} as const\n`
