import assert from 'node:assert/strict'
import { FetchConfig } from '../../../src/processor/fetch/config.ts'

describe("the fetcher's config", () => {
  it('has defaults', () => {
    assert.deepEqual(FetchConfig.parse({}), {
      request_headers: {},
      redirect_headers: [],
      max_bytes: 0,
      connect_timeout_ms: 5000,
      headers_timeout_ms: 30_000,
      stall_timeout_ms: 30_000,
      min_bytes_per_s: 100,
      min_speed_window_s: 60,
      max_decode_ratio: 200,
      allow_networks: [],
      allow_ports: [],
    })
  })

  it('takes header values that are numbers', () => {
    assert.deepEqual(FetchConfig.parse({ request_headers: { a: 1, b: 'c' } }).request_headers, { a: '1', b: 'c' })
  })

  for (const [what, config, message] of [
    ['a network that is none', { allow_networks: ['10.0.0.0/8', '10.0.0/8'] }, '"10.0.0/8" is not a network in CIDR'],
    ['a header name that is none', { request_headers: { 'a b': 'c' } }, 'is not a header name'],
    ['a header value with a line end', { request_headers: { a: 'b\r\nc: d' } }, 'must not hold CR, LF or NUL'],
    ['a header value that is no text', { request_headers: { a: true } }, 'must be a string or an integer'],
    ['a cookie for other origins', { redirect_headers: ['Cookie'] }, 'credentials go to no other origin'],
    ['a time of nothing', { connect_timeout_ms: 0 }, 'expected number to be >=1'],
    ['a time that no timer can wait', { stall_timeout_ms: 2 ** 31 }, 'expected number to be <=2147483647'],
    ['a size below nothing', { max_bytes: -1 }, 'expected number to be >=0'],
  ] as const) {
    it(`refuses ${what}`, () => {
      const { success, error } = FetchConfig.safeParse(config)
      assert.equal(success, false)
      assert.ok(
        JSON.stringify(error?.issues.map((issue) => issue.message))
          .replaceAll('\\"', '"')
          .includes(message),
        error?.message,
      )
    })
  }
})
