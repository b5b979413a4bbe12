import { createHash, timingSafeEqual } from 'node:crypto'
import type { Middleware } from 'koa'
import { Problem } from './problems.ts'

const digest = (text: string) => createHash('sha256').update(text).digest()

/**
 * Wants one of `tokens` as `Authorization: Bearer …` on every path but the open ones. For browsers, which cannot send
 * that, it also stands as the password of Basic authorization, for reading only.
 */
export function wantToken(tokens: string[], openPaths: string[]): Middleware {
  const digests = tokens.map(digest)
  return async (ctx, next) => {
    if (openPaths.includes(ctx.path)) return next()
    const given = tokenIn(ctx.get('Authorization'), ctx.method)
    // Digests are of one length, and all are compared: the time taken says nothing.
    const known = given !== undefined && digests.map((d) => timingSafeEqual(d, digest(given))).includes(true)
    if (!known) {
      throw new Problem(401, 'Authorization: a bearer token of this deployment is required', {
        'WWW-Authenticate': 'Bearer realm="downloader", Basic realm="downloader (any user, token as password)"',
      })
    }
    return next()
  }
}

function tokenIn(header: string, method: string): string | undefined {
  const [scheme = ''] = header.split(' ', 1)
  const credentials = header.slice(scheme.length).trim() // one space or more: RFC 9110, section 11.4
  if (scheme.toLowerCase() === 'bearer') return credentials
  if (scheme.toLowerCase() !== 'basic' || !['GET', 'HEAD'].includes(method)) return undefined
  const decoded = Buffer.from(credentials, 'base64').toString()
  return decoded.slice(decoded.indexOf(':') + 1)
}
