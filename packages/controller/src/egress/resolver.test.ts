import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { NameServer, typeA } from '../../test/name-server.ts'
import { createResolver } from './resolver.ts'

const v4 = Buffer.from([93, 184, 216, 34])
const v6 = Buffer.from('20010db8000000000000000000000001', 'hex')
let directory: string
let hostsFile: string
let nameServer: NameServer
let servers: string[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resolver-'))
  hostsFile = join(directory, 'hosts')
  await writeFile(
    hostsFile,
    '127.0.0.1 localhost\n::1 localhost # 10.0.0.1 demo\n10.1.2.3\tIntra.example.com intra\nno-address x\n',
  )
  nameServer = new NameServer()
  servers = [await nameServer.open()]
})
afterEach(async () => {
  nameServer.close()
  await rm(directory, { recursive: true })
})

test('gives all addresses of a name, of both kinds', async () => {
  nameServer.answer = (_, type) => (type === typeA ? [v4, v4] : [v6])
  const resolve = createResolver({ hostsFile, servers })
  expect(await resolve('site.example.com')).toEqual(['93.184.216.34', '93.184.216.34', '2001:db8::1'])
  expect(nameServer.asked).toEqual(['site.example.com'])
})

test('one kind is enough; a name without any is an error', async () => {
  nameServer.answer = (name, type) => (name === 'old.example.com' && type === typeA ? [v4] : [])
  const resolve = createResolver({ hostsFile, servers })
  expect(await resolve('old.example.com')).toEqual(['93.184.216.34'])
  await expect(resolve('none.example.com')).rejects.toMatchObject({ code: 'ENODATA' })
})

test('looks into the hosts file first, and asks nobody then', async () => {
  const resolve = createResolver({ hostsFile, servers })
  expect(await resolve('localhost')).toEqual(['127.0.0.1', '::1'])
  expect(await resolve('intra.example.com')).toEqual(['10.1.2.3'])
  expect(nameServer.asked).toEqual([])
  expect(await createResolver({ hostsFile: join(directory, 'absent'), servers })('x').catch(() => 'asked')).toBe(
    'asked',
  )
})

test('a machine that asks for many slow names holds up neither files nor the names of another', async () => {
  nameServer.answer = (name, type) => (name.startsWith('slow') ? null : type === typeA ? [v4] : [])
  const busy = createResolver({ hostsFile, servers })
  const slow = Promise.allSettled(Array.from({ length: 40 }, (_, n) => busy(`slow${n}.example.com`)))
  await vi.waitFor(() => expect(nameServer.asked).toHaveLength(16))
  // Four threads serve files: were a name to take one, nothing would come back from here before they have given up.
  let answered = 0
  void slow.then(() => answered++)
  expect(await readFile(hostsFile, 'utf8')).toContain('localhost')
  expect(await createResolver({ hostsFile, servers })('quick.example.com')).toEqual(['93.184.216.34'])
  expect(answered).toBe(0)
  // No more than that at once, whatever is asked.
  expect(nameServer.asked.filter((name) => name.startsWith('slow'))).toHaveLength(16)
  nameServer.answer = (_, type) => (type === typeA ? [v4] : [])
  await slow
  expect(nameServer.asked).toHaveLength(41)
})
