import type { Context, Middleware } from 'koa'
import { Problem } from './problems.ts'
import type { Sessions } from './sessions.ts'

/** Of browsers that logged in. */
export const SESSION_COOKIE = 'downloader_session'

/**
 * Wants a token as `Authorization: Bearer …`, or a session, on every path but the open ones. The token also stands as the
 * password of Basic authorization, for reading only. A browser that wants a page is sent to the login form.
 */
export function wantToken(sessions: Sessions, openPaths: string[]): Middleware {
  return async (ctx, next) => {
    if (openPaths.includes(ctx.path)) return next()
    const given = tokenIn(ctx.get('Authorization'), ctx.method)
    // whoever shows a token is judged by it; a cookie comes by itself
    const known = given === undefined ? sessions.stands(sessionIn(ctx)) : sessions.isToken(given)
    if (known) return next()
    if (ctx.method === 'GET' && ctx.get('Accept').includes('text/html')) {
      ctx.status = 303
      ctx.redirect(`/login?next=${encodeURIComponent(ctx.path)}`)
      return
    }
    // Basic is not offered: browsers would ask for a password in a window of their own.
    throw new Problem(401, 'Authorization: a bearer token of this deployment is required', {
      'WWW-Authenticate': 'Bearer realm="downloader"',
    })
  }
}

const sessionIn = (ctx: Context): string => ctx.cookies.get(SESSION_COOKIE) ?? ''

function tokenIn(header: string, method: string): string | undefined {
  const [scheme = ''] = header.split(' ', 1)
  const credentials = header.slice(scheme.length).trim() // one space or more: RFC 9110, section 11.4
  if (scheme.toLowerCase() === 'bearer') return credentials
  if (scheme.toLowerCase() !== 'basic' || !['GET', 'HEAD'].includes(method)) return undefined
  const decoded = Buffer.from(credentials, 'base64').toString()
  return decoded.slice(decoded.indexOf(':') + 1)
}
