import { readFileSync } from 'node:fs'
import Router from '@koa/router'
import type { Context } from 'koa'
import { SESSION_COOKIE } from '../auth.ts'
import { loginPage } from '../login/page.ts'
import { readText } from '../read-json.ts'
import { SESSION_S, type Sessions } from '../sessions.ts'

const MAX_BYTES = 16 * 1024
const POLICY =
  "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
/** Where a login may lead; anything else leads to the dashboard. */
const PAGES = ['/', '/docs']

/** Paths that are answered without a token. */
export const loginPaths = ['/login', '/login/login.css']

/**
 * `POST /login` gives a browser a session for a token, `POST /logout` takes it back.
 *
 * @param sessions undefined in a deployment without tokens: nobody needs to log in
 */
export function loginRoutes(sessions: Sessions | undefined): Router {
  const style = readFileSync(new URL('../login/login.css', import.meta.url))

  const show = (ctx: Context, next: string, wrong: boolean) => {
    ctx.set('Content-Security-Policy', POLICY)
    ctx.set('Cache-Control', 'no-store')
    ctx.type = 'text/html'
    ctx.body = loginPage({ next, wrong })
  }

  return new Router()
    .get('/login', (ctx) => {
      const next = pageOf(String(ctx.query.next ?? ''))
      if (!sessions) return seeOther(ctx, next)
      show(ctx, next, false)
    })
    .post('/login', async (ctx) => {
      const form = Object.fromEntries(new URLSearchParams(await readText(ctx.req, MAX_BYTES)))
      const { token = '' } = form
      const next = pageOf(form.next ?? '')
      if (sessions && !sessions.isToken(token)) {
        ctx.status = 401
        return show(ctx, next, true)
      }
      if (sessions) setSession(ctx, sessions.begin(token), SESSION_S)
      seeOther(ctx, next)
    })
    .post('/logout', (ctx) => {
      setSession(ctx, '', 0)
      seeOther(ctx, '/login')
    })
    .get('/login/login.css', (ctx) => {
      ctx.type = 'text/css'
      ctx.body = style
    })
}

const pageOf = (wanted: string): string => (PAGES.includes(wanted) ? wanted : '/')

function seeOther(ctx: Context, path: string): void {
  ctx.status = 303
  ctx.redirect(path)
}

/** Only for this site's own pages, and for no script. */
function setSession(ctx: Context, value: string, maxAgeS: number): void {
  const encrypted = ctx.secure || ctx.headers['x-forwarded-proto'] === 'https'
  const attributes = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeS}${encrypted ? '; Secure' : ''}`
  ctx.append('Set-Cookie', `${SESSION_COOKIE}=${value}; ${attributes}`)
}
