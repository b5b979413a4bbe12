import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type Defaults, type Entry, entriesOf } from '../../src/cli/entries.ts'

describe('the lines that are enqueued', () => {
  const defaults: Defaults = { limit: 4 }
  async function read(text: string, given = defaults): Promise<Entry[]> {
    const entries: Entry[] = []
    for await (const entry of entriesOf(Readable.from([text]), given)) entries.push(entry)
    return entries
  }
  const jobs = async (text: string, given = defaults) => (await read(text, given)).map(({ job }) => job)
  const none = { callback_type: 'none' }

  it('become jobs of the aggregation of their host, with its port, that nobody is called back for', async () => {
    assert.deepEqual(await jobs('https://a.test/1\nhttp://B.test:81/2\r\nHTTPS://c.test/3'), [
      { aggr_id: 'a.test', aggr_limit: 4, url: 'https://a.test/1', ...none },
      { aggr_id: 'b.test:81', aggr_limit: 4, url: 'http://B.test:81/2', ...none },
      { aggr_id: 'c.test', aggr_limit: 4, url: 'HTTPS://c.test/3', ...none },
    ])
  })

  it('count from 1, also those that are empty or comments and enqueue nothing', async () => {
    const entries = await read('# list\n\n  http://a.test/1  \n\t\n#\nhttp://a.test/2')
    assert.deepEqual(
      entries.map(({ line, url }) => [line, url]),
      [
        [3, 'http://a.test/1'],
        [6, 'http://a.test/2'],
      ],
    )
  })

  it('take aggregation, limit and receiver from the command line', async () => {
    assert.deepEqual(await jobs('http://a.test/', { aggrId: 'shop', limit: 9, callback: 'http://me.test/' }), [
      {
        aggr_id: 'shop',
        aggr_limit: 9,
        url: 'http://a.test/',
        callback_type: 'http',
        callback_dst: 'http://me.test/',
      },
    ])
  })

  it('keep what they say themselves as JSON, and every parameter that is not known here', async () => {
    const given = { url: 'http://a.test/', aggr_id: 'mine', aggr_limit: 1, priority: 9, extra: '{"a":1}' }
    const all = { aggrId: 'shop', limit: 9, callback: 'http://me.test/' }
    assert.deepEqual(await jobs(JSON.stringify({ ...given, ...none }), all), [{ ...given, ...none }])
    for (const receiver of [
      { callback_type: 'kafka', callback_dst: 'topic' },
      { callback_url: 'http://old.test/' },
      { s3_bucket: 'theirs' },
    ]) {
      assert.deepEqual(await jobs(JSON.stringify({ ...given, ...receiver }), all), [{ ...given, ...receiver }])
    }
  })

  it('that are no jobs say why, and the others are none the worse', async () => {
    const long = `http://a.test/${'x'.repeat(1024 * 1024)}`
    const lines = ['not a url', 'ftp://a.test/', '{"aggr_id":"a"}', '{"url":7}', '{"url":', long, 'http://a.test/']
    const entries = await read(lines.join('\n'))
    assert.deepEqual(
      entries.map(({ line, url }) => [line, url]),
      [
        [1, 'not a url'],
        [2, 'ftp://a.test/'],
        [3, ''],
        [4, '7'],
        [5, ''],
        [6, ''],
        [7, 'http://a.test/'],
      ],
    )
    const wrongs = [/^url: must be an http or https URL$/, /^url: must/, /^url: is missing$/, /^url: is missing$/]
    for (const [i, wrong] of [...wrongs, /^is not JSON: /, /^the line is too long$/].entries()) {
      assert.match(String(entries[i]?.job), wrong)
    }
    assert.deepEqual(entries.at(-1)?.job, { aggr_id: 'a.test', aggr_limit: 4, url: 'http://a.test/', ...none })
  })
})
