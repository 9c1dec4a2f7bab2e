/** The gateway behind a WebSocket server, as the HTTP edge has it. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Scope } from '@anteroom/base'
import { WebSocketServer } from 'ws'
import { configSchema } from '../../packages/controller/src/config.ts'
import { createEvents } from '../../packages/controller/src/events/events.ts'
import { createLive, webSocketOptions } from '../../packages/controller/src/live/live.ts'
import { openStore } from '../../packages/controller/src/store/store.ts'
import { testAudit } from '../../packages/controller/test/test-audit.ts'
import { answerParent } from '../child.ts'
import { password } from './rfb-load.ts'

const target = Number(process.argv[2])
const scope = Scope.root('gateway')
const { clock, log } = scope
const store = await openStore(':memory:')
const events = createEvents({ store, clock })
const live = createLive({
  store,
  clock,
  events,
  log,
  audit: testAudit({ store }),
  policy: configSchema.parse({}).live,
  publicUrl: () => 'http://127.0.0.1',
})
const server = createServer()
const sockets = new WebSocketServer({ server, ...webSocketOptions })
const endpoint = { ip: '127.0.0.1', port: target, password }
let sessions = 0
// A session each: who opens one with control takes it from whoever had it.
sockets.on('connection', (socket) => {
  const admission = {
    sessionId: `ses_bench_${++sessions}`,
    access: 'control',
    holder: { principal: 'bench', cookie: null, key: null },
    ticket: '',
    viewerId: '',
  } as const
  void live.serve(admission, endpoint, socket, scope)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
answerParent((server.address() as AddressInfo).port, async () => null)
