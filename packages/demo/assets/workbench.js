/**
 * The demo site's script. On /welcome it fills all three kinds of browser storage, then goes to /home; on /home it shows what it
 * finds, and writes nothing, so that restored state can be told from state that was made again.
 */
const databaseName = 'workbench'

/** @param {IDBDatabase} database */
function createStores(database) {
  const notes = database.createObjectStore('notes', { keyPath: 'id' })
  notes.createIndex('by-tag', 'tags', { multiEntry: true })
  database.createObjectStore('settings')
  database.createObjectStore('journal', { autoIncrement: true })
  database.createObjectStore('visits', { keyPath: ['day', 'page'] })
}

/** @returns {Promise<IDBDatabase>} */
const openDatabase = () =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open(databaseName, 3)
    request.onupgradeneeded = () => createStores(request.result)
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

async function fillDatabase() {
  const database = await openDatabase()
  const transaction = database.transaction(['notes', 'settings', 'journal', 'visits'], 'readwrite')
  const notes = transaction.objectStore('notes')
  notes.put({ id: 'n1', text: 'Bernoulli numbers', tags: ['engine', 'maths'], done: false })
  notes.put({ id: 2, text: 'Käse, 漢字, 🧀', tags: [], done: true, nested: { list: [1, null, 'two'] } })
  const settings = transaction.objectStore('settings')
  settings.put('dark', 'theme')
  settings.put(0.25, 'volume')
  settings.put(new Date('1843-09-05T12:00:00Z'), 'published')
  settings.put(['a', 'b'], ['list', 1])
  settings.put(true, new Date('2020-02-02T00:00:00Z'))
  transaction.objectStore('journal').add({ at: new Date('2026-01-01T08:30:00Z'), text: 'first entry' })
  transaction.objectStore('journal').add('second entry')
  transaction.objectStore('visits').put({ day: 1, page: 'home', count: 3 })
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve
    transaction.onerror = () => reject(transaction.error)
  })
  database.close()
}

/** @param {unknown} value */
const inWords = (value) => {
  if (value instanceof Date) return `date ${value.toISOString()}`
  return JSON.stringify(value, function (key, item) {
    return this[key] instanceof Date ? `date ${this[key].toISOString()}` : item
  })
}

/** @param {IDBObjectStore} store @returns {Promise<[string, string][]>} */
const readStore = (store) =>
  new Promise((resolve, reject) => {
    const rows = []
    const request = store.openCursor()
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const cursor = request.result
      if (!cursor) return resolve(rows)
      rows.push([`${store.name} ${inWords(cursor.primaryKey)}`, inWords(cursor.value)])
      cursor.continue()
    }
  })

async function readDatabase() {
  const known = await indexedDB.databases()
  if (!known.some(({ name }) => name === databaseName)) return []
  const database = await openDatabase()
  const names = [...database.objectStoreNames]
  const transaction = names.length > 0 ? database.transaction(names) : undefined
  const rows = await Promise.all(names.map((name) => readStore(transaction.objectStore(name))))
  database.close()
  return rows.flat()
}

/** @param {string} testId @param {[string, string][]} rows */
function show(testId, rows) {
  const list = document.querySelector(`[data-testid=${testId}]`)
  const shown = rows.length > 0 ? rows : [['nothing', '']]
  list.replaceChildren(
    ...shown.flatMap(([term, description]) => {
      const name = document.createElement('dt')
      name.textContent = term
      const value = document.createElement('dd')
      value.textContent = description
      return [name, value]
    }),
  )
  list.dataset.rows = String(rows.length)
}

if (location.pathname === '/welcome') {
  localStorage.setItem('theme', 'dark')
  localStorage.setItem('recent', JSON.stringify(['engine', 'notes']))
  localStorage.setItem('greeting', 'Grüße, 你好')
  sessionStorage.setItem('draft', 'On the analytical engine')
  sessionStorage.setItem('tab', '7')
  fillDatabase().then(
    () => location.replace('/home'),
    (error) => {
      document.querySelector('[role=status]').textContent = `The browser refused to keep data: ${error}`
    },
  )
} else {
  show('local-storage', Object.entries(localStorage))
  show('session-storage', Object.entries(sessionStorage))
  readDatabase().then(
    (rows) => show('indexed-db', rows),
    (error) => show('indexed-db', [['cannot be read', String(error)]]),
  )
}
