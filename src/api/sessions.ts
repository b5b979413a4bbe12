import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export interface Sessions {
  /** Whether `text` is one of the tokens. */
  isToken(text: string): boolean
  /** What a browser that showed the token is given instead of it. */
  begin(token: string): string
  /** Whether a browser's session stands: not over, and begun with a token that still is one. */
  stands(session: string): boolean
}

/** How long a browser stays logged in. */
export const SESSION_S = 7 * 24 * 3600

const digest = (text: string) => createHash('sha256').update(text).digest()
const same = (a: Buffer, b: Buffer) => a.length === b.length && timingSafeEqual(a, b)

/**
 * Tokens, and the sessions that they begin: `<end, s since the epoch>.<its HMAC under the token>`. Nothing is kept, so every
 * API process with the same tokens knows them, and a token that is taken out of the configuration ends its sessions.
 */
export function sessionsOf(tokens: string[], nowMs: () => number = Date.now): Sessions {
  const digests = tokens.map(digest)
  const seal = (token: string, end: string) => createHmac('sha256', digest(token)).update(`session ${end}`).digest()

  return {
    // Digests are of one length, and all are compared: the time taken says nothing.
    isToken: (text) => digests.map((known) => timingSafeEqual(known, digest(text))).includes(true),

    begin(token) {
      const end = String(Math.floor(nowMs() / 1000) + SESSION_S)
      return `${end}.${seal(token, end).toString('base64url')}`
    },

    stands(session) {
      const [, end = '', given = ''] = /^(\d{1,12})\.([\w-]{1,64})$/.exec(session) ?? []
      const sealed = Buffer.from(given, 'base64url')
      const genuine = tokens.map((token) => same(sealed, seal(token, end))).includes(true)
      return genuine && Number(end) * 1000 > nowMs()
    },
  }
}
