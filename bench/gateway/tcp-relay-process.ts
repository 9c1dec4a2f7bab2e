/** A bare TCP relay: what Node costs when nothing is done with the bytes. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { answerParent } from '../child.ts'

const target = Number(process.argv[2])
const server = createServer({ noDelay: true }, (viewer) => {
  const machine = connect({ host: '127.0.0.1', port: target, noDelay: true })
  const end = (): void => {
    viewer.destroy()
    machine.destroy()
  }
  for (const socket of [viewer, machine]) socket.on('error', () => {}).on('close', end)
  viewer.pipe(machine)
  machine.pipe(viewer)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
answerParent((server.address() as AddressInfo).port, async () => null)
