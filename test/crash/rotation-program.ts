/** Rotates the wrapping key of the vault in the state directory that it is given; one that was begun is gone on with. */
import { Scope } from '@anteroom/base'
import { TestVault } from '../../packages/controller/src/vault/test-vault.fixture.ts'

const world = await TestVault.at(process.argv[2] ?? '')
await world.vault.rotation.request()
await world.rotate(Scope.root('rotation'))
await world.store.close()
