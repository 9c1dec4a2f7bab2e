import { createCipheriv } from 'node:crypto'
import { chown, rename, writeFile } from 'node:fs/promises'
import type { UnixUser } from '../agent-config.ts'

/** The fixed key that every VNC server knows: it hides the password from a glance, not from anybody who wants it. */
const obfuscationKey = Buffer.from('e84ad660c4721ae0', 'hex')

/** `vncpasswd`'s file format: DES of the password, padded with zeros to its eight characters. */
export function obfuscateRfbPassword(password: string): Buffer {
  const block = Buffer.alloc(8)
  block.write(password, 'latin1')
  // OpenSSL 3 has single DES in its legacy provider only; three times the same key is the same cipher.
  const des = createCipheriv('des-ede3-ecb', Buffer.concat([obfuscationKey, obfuscationKey, obfuscationKey]), null)
  return des.setAutoPadding(false).update(block)
}

/** Whole or not at all: the server reads the file at each authentication. */
export async function writeRfbPassword(file: string, password: string, owner: UnixUser | undefined): Promise<void> {
  const fresh = `${file}.new`
  await writeFile(fresh, obfuscateRfbPassword(password), { mode: 0o600 })
  if (owner) await chown(fresh, owner.uid, owner.gid)
  await rename(fresh, file)
}
