import { createHash } from 'node:crypto'
import type { Context } from 'koa'
import { Problem } from './problems.ts'

const MAX_LENGTH = 255

/**
 * What the request's `Idempotency-Key` becomes in Redis, for the `n`th job of the request; undefined without the header.
 *
 * @throws {Problem} 400 when the header is no key
 */
export function idempotencyKeys(ctx: Context): (n: number) => string | undefined {
  const given = ctx.get('Idempotency-Key')
  if (ctx.headers['idempotency-key'] === undefined) return () => undefined
  if (!/^[\x21-\x7e]+$/.test(given) || given.length > MAX_LENGTH) {
    throw new Problem(400, `Idempotency-Key: must be 1 to ${MAX_LENGTH} visible ASCII characters`)
  }
  return (n) => createHash('sha256').update(`${given} ${n}`).digest('base64url')
}
