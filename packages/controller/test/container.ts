import { writeFile } from 'node:fs/promises'
import { runCommand, Scope } from '@anteroom/base'
import { type Slot, tapNames } from '../src/host/host.ts'
import type { Reached, Target } from './slot-guest.ts'

const scope = Scope.root('container')
const ip = (...args: string[]) => runCommand(scope, 'ip', args)

interface ContainerParts {
  readonly tag: string
  /** Towards which the host forwards. */
  readonly slot: Slot
  /** First of four addresses, and the two of its link. */
  readonly network: string
  readonly host: string
  readonly own: string
}

/** A namespace with this host as its router, which translates its addresses as Docker does. */
export async function containerOn({ tag, slot, network, host, own }: ContainerParts) {
  const [name, translation] = [`ct${tag}`, `anteroom_test_${tag}`]
  await ip('netns', 'add', name)
  await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  await ip('addr', 'add', `${host}/30`, 'dev', name)
  await ip('link', 'set', name, 'up')
  await ip('-n', name, 'addr', 'add', `${own}/30`, 'dev', 'eth0')
  await ip('-n', name, 'link', 'set', 'eth0', 'up')
  await ip('-n', name, 'route', 'add', 'default', 'via', host)
  // Of these two links alone: the host's own setting stays as it is.
  for (const link of [name, tapNames(tag, slot.index).hostLink])
    await writeFile(`/proc/sys/net/ipv4/conf/${link}/forwarding`, '1')
  const rules = `table ip ${translation} { chain post { type nat hook postrouting priority srcnat; ip saddr ${network}/30 masquerade; }; }\n`
  await runCommand(scope, 'nft', ['-f', '-'], { input: rules })
  return {
    async dial(target: Target): Promise<Reached> {
      const words = ['netns', 'exec', name, 'timeout', '2', 'bash', '-c', 'exec 3<>"/dev/tcp/$0/$1"']
      return await ip(...words, target.ip, `${target.port}`).then(
        () => 'connected',
        () => 'refused',
      )
    },
    async [Symbol.asyncDispose]() {
      await runCommand(scope, 'nft', ['delete', 'table', 'ip', translation])
      await ip('link', 'delete', name)
      await ip('netns', 'delete', name)
    },
  }
}
