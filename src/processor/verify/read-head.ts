import { SNIFF_BYTES } from './mime.ts'

export interface Head {
  /** The first `SNIFF_BYTES` and what came along with them, or all of a body that is shorter. */
  head: Buffer
  complete: boolean
}

/**
 * Reads until the type can be judged: the full first bytes, or a body that ended properly.
 *
 * @param progress is told how many bytes have come
 * @throws what the body throws when it breaks off before that: nothing is judged by half a head
 */
export async function readHead(body: AsyncIterator<Uint8Array>, progress = (_bytes: number) => {}): Promise<Head> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  while (bytes < SNIFF_BYTES) {
    const { done, value } = await body.next()
    if (done) return { head: Buffer.concat(chunks), complete: true }
    chunks.push(value)
    bytes += value.length
    progress(bytes)
  }
  return { head: Buffer.concat(chunks), complete: false }
}
