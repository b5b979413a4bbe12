import { readFileSync } from 'node:fs'
import Router from '@koa/router'

const files = [
  ['/', 'index.html', 'text/html'],
  ['/dashboard/dashboard.js', 'dashboard.js', 'text/javascript'],
  ['/dashboard/dashboard.css', 'dashboard.css', 'text/css'],
] as const

const POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** `GET /`: the page for operators. Its files are read once, when the API starts. */
export function dashboardRoutes(): Router {
  const router = new Router()
  for (const [path, name, type] of files) {
    const content = readFileSync(new URL(`../dashboard/${name}`, import.meta.url))
    router.get(path, (ctx) => {
      ctx.set('Content-Security-Policy', POLICY)
      ctx.set('Referrer-Policy', 'no-referrer')
      ctx.set('Cache-Control', 'no-cache')
      ctx.type = type
      ctx.body = content
    })
  }
  return router
}
