import { createHash } from 'node:crypto'

/** What the origin serves for a job; anyone can tell it from its number. Sizes on both sides of what stays in memory. */
export function contentOf(n: number): Buffer {
  const seed = createHash('sha256').update(`content ${n}`).digest('hex')
  const bytes = n % 10 === 0 ? 400_000 : 500 + (n % 7) * 3000
  return Buffer.from(seed.repeat(Math.ceil(bytes / seed.length)).slice(0, bytes))
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
