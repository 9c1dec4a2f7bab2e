import type { MachineEvidence } from './driver.ts'

const lastLines = (text: string, count: number): string => text.trimEnd().split('\n').slice(-count).join('\n')

/** The end of what a machine left, for a `detail` or a line of the log. */
export const lastWords = ({ console, vmm }: MachineEvidence): string =>
  [vmm && `monitor:\n${lastLines(vmm, 8)}`, console && `console:\n${lastLines(console, 12)}`]
    .filter(Boolean)
    .join('\n') || 'it left no output'
