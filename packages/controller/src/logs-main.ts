import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError, silentLog, systemClock } from '@anteroom/base'
import { type EvidenceKind, type SessionEvent, sessionId } from '@anteroom/contract'
import { tailOf, vmmFiles } from '@anteroom/vmm'
import { createEvents } from './events/events.ts'
import { createEvidence, type Evidence } from './evidence/evidence.ts'
import { loadConfig } from './load-config.ts'
import { logDirectory, readLogOf } from './observe/observe.ts'
import { runProgram } from './run-program.ts'
import { gatherSessionLog } from './sessions/sessions.ts'
import { openStoreToRead } from './store/store.ts'

const consoleBytes = 16 * 1024

/**
 * What was written about a session, as JSON, from files alone: where no controller runs, or one hangs. What cannot be read is left
 * out, for this is asked when something is broken.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { home: { type: 'string' } }, allowPositionals: true })
  const home = resolve(values.home ?? process.env.ANTEROOM_HOME ?? '.anteroom')
  const id = sessionId.parse(positionals[0])
  const config = loadConfig(home, process.env)
  const evidence = createEvidence({ config, clock: systemClock, log: silentLog })
  const found = await gatherSessionLog({
    sessionId: id,
    events: await eventsOf(join(home, 'anteroom.sqlite'), id).catch(() => []),
    recordsOf: (ids) => readLogOf(logDirectory(home), ids),
    evidenceOf: (machines) => evidenceOf(evidence, home, id, machines),
  })
  if (found.lines.length + found.texts.length === 0)
    throw new AppError('not_found', { detail: `nothing in ${home} is about ${id}` })
  process.stdout.write(`${JSON.stringify(found)}\n`)
}

async function eventsOf(path: string, id: string): Promise<SessionEvent[]> {
  const store = await openStoreToRead(path)
  try {
    return await createEvents({ store, clock: systemClock }).all(id)
  } finally {
    await store.close()
  }
}

/** Of a machine that outlived its controller: what its monitor writes. */
async function evidenceOf(evidence: Evidence, home: string, id: string, machines: readonly string[]) {
  const texts = await evidence.read(id)
  if (Object.keys(texts).length > 0) return { texts, fileOf: (kind: EvidenceKind) => evidence.fileOf(id, kind) }
  const files = vmmFiles(join(home, 'machines', machines.at(-1) ?? ''))
  return {
    texts: { console: await tailOf(files.console, consoleBytes), vmm: await tailOf(files.log, consoleBytes) },
    fileOf: () => null,
  }
}

runProgram(main)
