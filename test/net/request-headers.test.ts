import assert from 'node:assert/strict'
import { withoutConnectionHeaders } from '../../src/net/request-headers.ts'

describe('request headers', () => {
  it('drops those that belong to the connection, in any case', () => {
    const headers = {
      Host: 'a',
      'content-length': '1',
      'Transfer-Encoding': 'chunked',
      CONNECTION: 'close',
      'Keep-Alive': 'timeout=5',
      Upgrade: 'h2c',
      TE: 'trailers',
      Trailer: 'x',
      'Proxy-Connection': 'close',
      'Proxy-Authorization': 'Basic eA==',
      Expect: '100-continue',
      'X-Kept': 'yes',
      Cookie: 'kept=too',
    }
    assert.deepEqual(withoutConnectionHeaders(headers), { 'X-Kept': 'yes', Cookie: 'kept=too' })
  })

  it('keeps values as they are', () => {
    assert.deepEqual(withoutConnectionHeaders({ 'x-number': 7, host: 1 }), { 'x-number': 7 })
  })
})
