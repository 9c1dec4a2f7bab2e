import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '@anteroom/base'
import { findVmms } from '@anteroom/vmm'
import { instanceTag } from '../../../packages/controller/src/host/host.ts'
import type { ControllerProcess } from '../../harness/controller-process.ts'
import { ip, scope } from './breakable-host.ts'

/** A process that is a monitor by its name, without a machine in it. */
export function orphan(tag: string): string {
  const id = newId('machine')
  const name = `guest=anteroom-${id},process=anteroom-${tag}`
  const words = ['-machine', 'none', '-nodefaults', '-display', 'none', '-S', '-name', name]
  spawn('qemu-system-x86_64', words, { detached: true, stdio: 'ignore' }).unref()
  return id
}

export const isRunning = async (tag: string, id: string): Promise<boolean> =>
  (await findVmms(tag)).some((monitor) => monitor.id === id)

/** What a crash can leave of machines and slots. */
export async function litter({ home }: ControllerProcess) {
  const tag = instanceTag(home)
  const machine = orphan(tag)
  const directory = join(home, 'machines', newId('machine'))
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'qmp.sock'), '')
  await writeFile(join(directory, 'vmm.json.new'), '')
  await ip('netns', 'add', `ar-${tag}-2`)
  await ip('link', 'add', `ar-${tag}-3`, 'type', 'veth', 'peer', 'name', `ar-${tag}-p`)
  // Of a larger pool that was configured before.
  await ip('netns', 'add', `ar-${tag}-40`)
  await scope.until(async () => (await isRunning(tag, machine)) || undefined, 20)
}

/** Waits until the metrics have counted all of that litter. */
export async function untilSwept({ api }: ControllerProcess, deadlineMs = 30_000): Promise<void> {
  const counted = ['{kind="machine"} 2', '{kind="slot"} 3'].map((n) => `anteroom_leftovers_swept_total${n}`)
  await scope.run({ name: 'the sweep', deadlineMs }, (inner) =>
    inner.until(async () => {
      const text = String((await api.call('GET', '/metrics')).body.text)
      return counted.every((line) => text.includes(line)) || undefined
    }, 50),
  )
}
