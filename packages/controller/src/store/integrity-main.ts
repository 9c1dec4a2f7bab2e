import { DatabaseSync } from 'node:sqlite'

/** A few tell enough. */
const most = 3

/** Prints what is wrong inside of the database that is named, as a list in JSON. */
try {
  const database = new DatabaseSync(process.argv[2] ?? '', { readOnly: true, timeout: 250 })
  const rows = database.prepare(`pragma quick_check(${most})`).all()
  const said = rows.map((row) => String(row.quick_check))
  process.stdout.write(JSON.stringify(said.filter((line) => line !== 'ok')))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
