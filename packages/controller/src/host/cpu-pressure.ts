import { readFile } from 'node:fs/promises'

/**
 * Percent of the last ten seconds in which something that could run waited for a processor (Linux, Documentation/accounting/psi.rst);
 * null where the kernel does not tell: before 4.20, or without CONFIG_PSI.
 */
export async function cpuPressure(): Promise<number | null> {
  const text = await readFile('/proc/pressure/cpu', 'utf8').catch(() => '')
  const percent = /^some avg10=(\d+\.\d+)/.exec(text)?.[1]
  return percent === undefined ? null : Number(percent)
}
