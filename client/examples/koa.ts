// Receives the callbacks of a Downloader with Koa:
//
//   new Koa().use(callbacks(process.env.SIGNING_SECRET, async (callback) => { … })).listen(9000)
import type { Middleware } from 'koa'
import { type Callback, CallbackRefused, verifyCallback } from '../src/index.ts'

const MAX_BYTES = 1024 * 1024

/** @param received must be safe to repeat: delivery is at least once, and `job_id` tells a repetition */
export function callbacks(secret: string, received: (callback: Callback) => Promise<void>): Middleware {
  return async (ctx) => {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of ctx.req) {
      bytes += chunk.length
      if (bytes > MAX_BYTES) return ctx.throw(413)
      chunks.push(chunk)
    }
    try {
      await received(verifyCallback(secret, ctx.headers, Buffer.concat(chunks)))
      ctx.status = 204
    } catch (error) {
      if (!(error instanceof CallbackRefused)) throw error // 500: it comes again later
      ctx.throw(401, error.message)
    }
  }
}
