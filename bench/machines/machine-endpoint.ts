import { join } from 'node:path'
import { systemClock } from '@anteroom/base'
import { rfbPort, type Session } from '@anteroom/contract'
import type { RfbEndpoint } from '@anteroom/rfb'
import { machineSecrets } from '../../packages/controller/src/agent/agent.ts'
import { openStore } from '../../packages/controller/src/store/store.ts'
import { openVault } from '../../packages/controller/src/vault/vault.ts'
import { testAudit } from '../../packages/controller/test/test-audit.ts'

/** Where a session's machine itself can be seen: its password follows from the key of the controller's vault. */
export async function machineEndpoint(home: string, { browser_vm_id, vm_ip }: Session): Promise<RfbEndpoint> {
  if (browser_vm_id === null || vm_ip === null) throw new Error('the session has no machine')
  const store = await openStore(':memory:')
  try {
    const vault = await openVault({
      keyFile: join(home, 'vault.key'),
      store,
      clock: systemClock,
      audit: testAudit({ store }),
    })
    const { rfb } = machineSecrets((label) => vault.deriveKey(label), browser_vm_id)
    return { ip: vm_ip, port: rfbPort, password: rfb }
  } finally {
    await store.close()
  }
}
