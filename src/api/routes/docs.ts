import { readFileSync } from 'node:fs'
import Router from '@koa/router'
import { docsPage } from '../docs/page.ts'
import { openApi } from '../openapi.ts'

const POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** `GET /openapi.json`, and the same for people at `/docs`. Both are made once, when the API starts. */
export function docsRoutes(version: string): Router {
  const document = openApi(version)
  const page = docsPage(document)
  const style = readFileSync(new URL('../docs/docs.css', import.meta.url))
  return new Router()
    .get('/openapi.json', (ctx) => {
      ctx.body = document
    })
    .get('/docs', (ctx) => {
      ctx.set('Content-Security-Policy', POLICY)
      ctx.set('Referrer-Policy', 'no-referrer')
      ctx.type = 'text/html'
      ctx.body = page
    })
    .get('/docs/docs.css', (ctx) => {
      ctx.type = 'text/css'
      ctx.body = style
    })
}
