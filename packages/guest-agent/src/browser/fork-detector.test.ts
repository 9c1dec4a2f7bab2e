import { expect, test } from 'vitest'
import { wipedOnFork } from './fork-detector.ts'

const entry = (range: string, flags: string): string => `${range} rw-p 00000000 00:00 0 
Size:                  4 kB
KernelPageSize:        4 kB
Rss:                   4 kB
ProtectionKey:         0
VmFlags: ${flags} 
`

test('the page that is wiped on fork is found; the droppable one of getrandom is not it', () => {
  const smaps = [
    entry('55d0c0a00000-55d0c0a21000', 'rd wr mr mw me ac sd'),
    entry('7f2e5c000000-7f2e5c001000', 'rd wr mr mw me ac wf sd'),
    entry('7f2e5d000000-7f2e5d001000', 'rd wr mr mw me de dd wf dp sd'),
    entry('7ffc8a5f1000-7ffc8a612000', 'rd wr mr mw me gd ac'),
  ].join('')
  expect(wipedOnFork(smaps)).toEqual([0x7f2e5c000000])
})

test('none, or more than one, are all told', () => {
  expect(wipedOnFork('')).toEqual([])
  expect(wipedOnFork(entry('1000-2000', 'rd wr'))).toEqual([])
  expect(wipedOnFork(entry('1000-2000', 'wf') + entry('3000-4000', 'wf'))).toEqual([0x1000, 0x3000])
})
