/** The end of a text, in whole lines, of at most so many bytes; says so when something is missing. */
export function endOfText(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= mostBytes) return text
  const note = '[what was before is not kept]\n'
  const tail = bytes.subarray(bytes.length - mostBytes + note.length)
  const firstLine = tail.indexOf('\n')
  return note + tail.subarray(firstLine + 1).toString('utf8')
}
