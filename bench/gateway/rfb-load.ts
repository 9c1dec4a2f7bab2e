/** What machine and viewers of the benchmark say to each other. */
import { vncAuthResponse } from '@anteroom/rfb'

export const password = 'benchmrk'
export const challenge = Buffer.from('0123456789abcdef')
export const challengeAnswer = vncAuthResponse(challenge, password)

/** 1280 × 800 pixels of 32 bits, named "bench". */
export const serverInit = Buffer.concat([
  Buffer.from([5, 0, 3, 32, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 5]),
  Buffer.from('bench'),
])

/** A FramebufferUpdate with one rectangle in Tight encoding, a JPEG by its length alone: nobody looks at the picture. */
function update(bytes: number): Buffer {
  const message = Buffer.alloc(bytes, 0x5a)
  const header = [0, 0, 0, 1, 0, 0, 0, 0, 5, 0, 3, 32, 0, 0, 0, 7, 0x90]
  const length = bytes - header.length - 3
  message.set([...header, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14])
  return message
}

/**
 * Sizes as Xtigervnc sent them with Tight encoding: typed letters and moved pointers, a menu, a dialog, a scrolled page, a new
 * page. In this order one viewer gets 41 KB a picture on the average.
 */
export const updates = [900, 1400, 700, 6_000, 1_200, 22_000, 90_000, 2_500, 45_000, 240_000].map(update)
/** A whole page in Tight encoding: what every viewer is sent when it enters. */
export const firstPicture = update(350_000)
/** A letter that was typed. */
export const echo = update(900)

const version = Buffer.from('RFB 003.008\n')
const shared = Buffer.of(1)
/** The challenge is always the same, so a viewer can say all of its handshake at once. */
export const sayToMachine = Buffer.concat([version, Buffer.of(2), challengeAnswer, shared])
export const sayToGateway = Buffer.concat([version, Buffer.of(1), shared])
/** What a viewer has been sent when it is in and has its first picture. */
export const enteredBytes = {
  machine: 12 + 2 + 16 + 4 + serverInit.length + firstPicture.length,
  gateway: 12 + 2 + 4 + serverInit.length + firstPicture.length,
}
export const keyEvent = Buffer.from([4, 1, 0, 0, 0, 0, 0, 97])
