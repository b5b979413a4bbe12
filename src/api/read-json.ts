import type { IncomingMessage } from 'node:http'
import { Problem } from './problems.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The request's body as JSON, whatever its Content-Type says (`curl -d` sends a form's).
 *
 * @throws {Problem} 413 above `maxBytes`, 400 when it is not JSON
 */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const text = await readText(request, maxBytes)
  if (text === '') throw new Problem(400, 'the body is empty: a JSON object is expected')
  return parseJson(text)
}

/**
 * The request's body.
 *
 * @throws {Problem} 413 above `maxBytes`, 400 when it is not UTF-8
 */
export async function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const body = await readBody(request, maxBytes)
  try {
    return utf8.decode(body)
  } catch {
    throw new Problem(400, 'the body is not UTF-8')
  }
}

/** @throws {Problem} 400 when `text` is not JSON */
export function parseJson(text: string, what = 'the body'): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Problem(400, `${what} is not JSON: ${(error as Error).message}`)
  }
}

function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(request, maxBytes)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const done = () => request.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut)
    const onData = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) return void chunks.push(chunk)
      done()
      reject(tooLarge(request, maxBytes))
    }
    const onEnd = () => {
      done()
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks))
    }
    const onCut = () => {
      done()
      reject(new Problem(400, 'the body ended early'))
    }
    request.on('data', onData).on('end', onEnd).on('error', onCut).on('close', onCut)
  })
}

/** What still comes is read and dropped (until the request's timeout), or the client would not see the answer. */
function tooLarge(request: IncomingMessage, maxBytes: number): Problem {
  request.resume()
  return new Problem(413, `the body is larger than ${maxBytes} bytes`, { Connection: 'close' })
}
