import { mkdir } from 'node:fs/promises'
import { AppError, type Scope, systemClock } from '@anteroom/base'
import type { Config } from './config.ts'
import { opened, type Patient } from './doctor/doctor.ts'
import { measureHost, openSlots } from './host/host.ts'
import { openImages } from './images/images.ts'
import { findUnheld } from './leases/leases.ts'
import { measureMachineWalls, openMachines } from './machines/machines.ts'
import { openVaultAndAudit } from './open-vault-and-audit.ts'
import { openStoreIn } from './store/store.ts'

/**
 * The parts of a controller that does not run, as far as they can be opened. Only with the state directory's lock: it writes to the
 * database, and sweeps.
 */
export async function openPatient(config: Config, scope: Scope): Promise<Patient & AsyncDisposable> {
  await mkdir(config.home, { recursive: true, mode: 0o700 })
  const clock = systemClock
  const images = openImages(config.home)
  const store = await opened(() => openStoreIn(config.home))
  const parts =
    store instanceof AppError
      ? store
      : await opened(() => openVaultAndAudit(config, { store, clock, log: scope.log, scope }))
  const { vault, audit } = parts instanceof AppError ? { vault: parts, audit: parts } : parts
  const slots = await opened(() => openSlots(config, scope))
  const driver =
    slots instanceof AppError
      ? slots
      : await opened(async () => (await openMachines({ config, images, slots }, scope)).driver)
  return {
    ...{ config, clock, images, store, vault, audit, slots, driver },
    snapshots: null,
    measureHost: () => measureHost(config.home),
    // The next controller makes its own, and these are in nobody's use.
    slotsAhead: new Set(),
    url: null,
    measureWalls: (measuring) => measureMachineWalls(config, measuring),
    // Set by the controller that runs.
    firewall: null,
    async sweep(sweeping) {
      if (store instanceof AppError || slots instanceof AppError || driver instanceof AppError) return
      const unheld = await findUnheld({ db: store.db, driver, slots, slotsAhead: new Set() }, sweeping)
      for (const id of unheld.machines) await driver.destroy(id, sweeping)
      for (const index of unheld.slots) await slots.remove(slots.at(index), sweeping)
    },
    async [Symbol.asyncDispose]() {
      if (!(store instanceof AppError)) await store.close()
    },
  }
}
