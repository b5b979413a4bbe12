import { readdirSync, readFileSync } from 'node:fs'
import Router from '@koa/router'

const own = new URL('../dashboard/', import.meta.url)

/** Modules of others, as browsers take them, from where they are installed. */
const VENDOR = {
  'preact.js': 'htm/preact/standalone',
  'uplot.js': 'uplot/dist/uPlot.esm.js',
  'uplot.css': 'uplot/dist/uPlot.min.css',
}

const TYPES: Record<string, string> = { html: 'text/html', js: 'text/javascript', css: 'text/css' }

/** Nothing from other hosts, nothing inline, in nobody's frame. */
const POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/** `GET /`: the page for operators. Its files are read once, when the API starts. */
export function dashboardRoutes(): Router {
  const router = new Router()
  for (const [path, file] of files()) {
    const content = readFileSync(file)
    const type = TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'text/html'
    router.get(path, (ctx) => {
      ctx.set('Content-Security-Policy', POLICY)
      ctx.set('Cache-Control', 'no-cache')
      ctx.type = type
      ctx.body = content
    })
  }
  return router
}

/** Path and file. */
function files(): [string, URL][] {
  const names = readdirSync(own).filter((name) => name !== 'index.html')
  const vendor = Object.entries(VENDOR)
  return [
    ['/', new URL('index.html', own)],
    ...names.map((name): [string, URL] => [`/dashboard/${name}`, new URL(name, own)]),
    ...vendor.map(([name, module]): [string, URL] => [
      `/dashboard/vendor/${name}`,
      new URL(import.meta.resolve(module)),
    ]),
  ]
}
