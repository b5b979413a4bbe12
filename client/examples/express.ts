// Receives the callbacks of a Downloader: a plain function of the request and the response of node:http, which Express
// takes as a handler. It answers by itself and calls no `next`. In front of it stands no body parser: what is signed are
// the bytes as they came.
//
//   express().post('/callbacks', callbacks(process.env.SIGNING_SECRET, async (callback) => { … })).listen(9000)
//   http.createServer(callbacks(process.env.SIGNING_SECRET, async (callback) => { … })).listen(9000)
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Callback, CallbackRefused, verifyCallback } from '../src/index.ts'

const MAX_BYTES = 1024 * 1024

/** @param received must be safe to repeat: delivery is at least once, and `job_id` tells a repetition */
export function callbacks(secret: string, received: (callback: Callback) => Promise<void>) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answer = (status: number, text = '') => void response.writeHead(status).end(text)
    try {
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of request) {
        bytes += chunk.length
        if (bytes > MAX_BYTES) return answer(413)
        chunks.push(chunk)
      }
      await received(verifyCallback(secret, request.headers, Buffer.concat(chunks)))
      answer(204)
    } catch (error) {
      if (error instanceof CallbackRefused) answer(401, error.message)
      else answer(500) // it comes again later
    }
  }
}
