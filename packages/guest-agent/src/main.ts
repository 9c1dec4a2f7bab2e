import { Scope } from '@anteroom/base'
import { startAgent } from './agent.ts'
import { machineConfig } from './agent-config.ts'
import { createAgentLog } from './agent-log.ts'

const log = createAgentLog((line) => process.stdout.write(line))
const scope = Scope.root('guest agent', log)

// init starts another one; whatever state this one is in, a fresh one is better.
process.on('uncaughtException', (error) => {
  log.error({ error, stack: error.stack }, 'the agent failed')
  process.exit(1)
})

const agent = await startAgent(machineConfig, log, scope)
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => {
    void agent.close().finally(() => process.exit(0))
  })
