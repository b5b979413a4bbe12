import type { Middleware } from 'koa'
import { Problem } from './problems.ts'

const READING = ['GET', 'HEAD', 'OPTIONS']

/**
 * Refuses what changes something when a browser says that another site's page sent it: such a request carries the cookies
 * and the network position of whoever looks at that page. Browsers say so by `Sec-Fetch-Site`, and where they do not
 * (plain HTTP to another host than localhost) by `Origin`; programs send neither.
 * See https://www.w3.org/TR/fetch-metadata/.
 */
export function refuseOtherSites(): Middleware {
  return async (ctx, next) => {
    if (!READING.includes(ctx.method) && fromElsewhere(ctx.get('Sec-Fetch-Site'), ctx.get('Origin'), ctx.host)) {
      throw new Problem(403, 'Origin: a page of another site may not change anything here')
    }
    return next()
  }
}

/** `none`: the user's own doing, such as an address that was typed. */
function fromElsewhere(site: string, origin: string, host: string): boolean {
  if (site) return site !== 'same-origin' && site !== 'none'
  if (!origin) return false
  // `null` of a sandboxed page is no URL
  return !URL.canParse(origin) || new URL(origin).host !== host
}
