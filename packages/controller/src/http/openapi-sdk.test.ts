import { errorDefinitions } from '@anteroom/contract'
import { afterAll, expect, test } from 'vitest'
import { generateErrors, generateTypes } from '../../../sdk/test/generate.ts'
import { startEdge } from './test/running-edge.ts'

const edge = await startEdge()
afterAll(() => edge.stop())

const source = '../../../sdk/src'
const howTo =
  'The API has changed and the SDK has not. This writes it anew: npm test -- unit packages/controller/src/http/openapi-sdk.test.ts -u'

test('the types of the SDK are those of the API', async () => {
  const document = (await (await edge.call('GET', '/openapi.json')).json()) as object
  await expect(await generateTypes(document), howTo).toMatchFileSnapshot(`${source}/openapi.gen.ts`)
})

test('the codes of the SDK are those of the contract', async () => {
  await expect(generateErrors(errorDefinitions), howTo).toMatchFileSnapshot(`${source}/errors.gen.ts`)
})
