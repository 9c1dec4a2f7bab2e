import { join } from 'node:path'
import { AppError, createSerialiser, type Scope } from '@anteroom/base'
import { measureAccelerator, qemuVersion } from '@anteroom/vmm'
import type { Config } from '../../config.ts'
import type { ImageFiles } from '../../images/images.ts'
import type { Capabilities } from '../driver.ts'

export interface AccelerationDeps {
  readonly config: Pick<Config, 'vmm' | 'home'>
  /** Its kernel is what the measurement boots. */
  readonly images: { current(): Promise<ImageFiles> } | undefined
  /** Who the machine of the measurement runs as. */
  readonly vmmUid: number | null
}

export const imageFiles = ({ directory, manifest }: ImageFiles) => ({
  kernel: join(directory, manifest.kernel.name),
  initrd: join(directory, manifest.initrd.name),
  rootfs: join(directory, manifest.rootfs.name),
})

/** Measured once for each image while this process runs, and once for each boot of the host. */
export class QemuAcceleration {
  readonly #deps: AccelerationDeps
  readonly #measured = new Map<string, Capabilities>()
  readonly #oneAtATime = createSerialiser()

  constructor(deps: AccelerationDeps) {
    this.#deps = deps
  }

  /** @throws AppError vmm_missing, kvm_required */
  async ofCurrentImage(scope: Scope): Promise<Capabilities> {
    const { images, config } = this.#deps
    const image = await images?.current().catch((error: unknown) => {
      if (error instanceof AppError && ['image_missing', 'image_corrupt'].includes(error.code)) return undefined
      throw error
    })
    if (image) return await this.of(image, scope)
    const { text } = await qemuVersion(config.vmm.binary, scope)
    return { version: text, accelerator: 'tcg', accelerationNote: 'not measured: there is no golden image to boot' }
  }

  /** @throws AppError vmm_missing, kvm_required */
  async of(image: ImageFiles, scope: Scope): Promise<Capabilities> {
    scope.throwIfOver()
    return (
      this.#measured.get(image.id) ?? (await scope.race(this.#oneAtATime('probe', () => this.#measure(image, scope))))
    )
  }

  /** Not two at once: the second would take the probe of the first for one that a crash left. */
  async #measure(image: ImageFiles, scope: Scope): Promise<Capabilities> {
    const known = this.#measured.get(image.id)
    if (known) return known
    const { config, vmmUid } = this.#deps
    const { kernel, initrd } = imageFiles(image)
    const { version, accelerator, note } = await measureAccelerator(
      {
        ...{ binary: config.vmm.binary, want: config.vmm.accelerator, kernel, initrd, runAs: vmmUid },
        cacheFile: join(config.home, 'cache', 'acceleration.json'),
      },
      scope,
    )
    const capabilities = { version, accelerator, accelerationNote: note }
    this.#measured.set(image.id, capabilities)
    return capabilities
  }
}
