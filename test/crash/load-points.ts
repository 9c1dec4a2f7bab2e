/**
 * Loaded before a program (`node --import`), with the directory of its rewritten modules as `?in=`: those are taken instead of
 * their sources, and what they call is here. The file `orders` of that directory names the point at which the process is to die,
 * once it is passed, or `*` where every passing is to be written to `passed`, after the number of its moment: between two points
 * of the same moment nothing has happened outside the process.
 */
import childProcess from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { registerHooks, syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { StatementSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { createPoints } from './points.ts'

const directory = new URL(import.meta.url).searchParams.get('in')
if (directory === null) throw new Error('load-points.ts needs to know where the rewritten modules are')
const moduleOf = JSON.parse(readFileSync(join(directory, 'modules.json'), 'utf8')) as Record<string, string>
const orders = join(directory, 'orders')

registerHooks({
  load(url, context, nextLoad) {
    const name = url.startsWith('file:') ? moduleOf[fileURLToPath(url)] : undefined
    if (name === undefined) return nextLoad(url, context)
    return { format: 'module', shortCircuit: true, source: readFileSync(join(directory, name), 'utf8') }
  },
})

/**
 * A moment ends when every promise that could go on has done so (then what the kernel tells is heard again), or with a call that
 * changes the world before it returns.
 */
let moment = 0
let endsWithTurn = false
function endWithTurn(): void {
  if (endsWithTurn) return
  endsWithTurn = true
  process.nextTick(() => {
    moment += 1
    endsWithTurn = false
  })
}

// biome-ignore lint/suspicious/noExplicitAny: whatever it takes and gives
function endsMoment<T extends (...values: any[]) => unknown>(call: T, isChange: (self: any) => boolean): T {
  return function (this: unknown, ...values: unknown[]) {
    if (isChange(this)) moment += 1
    return call.apply(this, values)
  } as T
}
const writes = ({ sourceSQL }: StatementSync): boolean => !/^\s*select/i.test(sourceSQL)
StatementSync.prototype.run = endsMoment(StatementSync.prototype.run, writes)
StatementSync.prototype.all = endsMoment(StatementSync.prototype.all, writes)
childProcess.spawn = endsMoment(childProcess.spawn, () => true)
process.kill = endsMoment(process.kill, () => true)
syncBuiltinESMExports()

/** Everything here is synchronous: nothing may go on between the passing of a point and what is ordered for it. */
function pass(point: string): void {
  endWithTurn()
  const order = existsSync(orders) ? readFileSync(orders, 'utf8') : ''
  if (order === '*') appendFileSync(join(directory ?? '', 'passed'), `${moment} ${point}\n`)
  if (order !== point) return
  writeFileSync(join(directory ?? '', 'died'), point)
  process.kill(process.pid, 'SIGKILL')
}

Object.assign(globalThis, { crashPoints: createPoints(pass) })
