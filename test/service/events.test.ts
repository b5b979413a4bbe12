import assert from 'node:assert/strict'
import http from 'node:http'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { assertDocumented } from '../support/openapi.ts'
import { type Service, startService } from '../support/service.ts'

interface Event {
  at: string
  id: string
  event: string
  room: string
  group: string
  code?: string
}

/** A client of `GET /events`: everything that came so far. */
async function listen(service: Service, query = '') {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get(`${service.url}/events${query}`, resolve).on('error', reject)
  })
  const { statusCode: status = 0, headers } = response
  await assertDocumented(
    'GET',
    `${service.url}/events`,
    new Response(null, { status, headers: headers as Record<string, string> }),
  )
  let text = ''
  response.setEncoding('utf8').on('data', (data) => {
    text += data
  })
  const closed = new Promise<void>((resolve) => response.once('close', resolve))
  await eventually(() => assert.match(text, /^: listening\n\n/))
  await eventually(async () => assert.equal(await listenersOf(service), 1))
  return {
    response,
    closed,
    text: () => text,
    events: () => [...text.matchAll(/^event: job\ndata: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as Event),
    [Symbol.dispose]: () => void response.destroy(),
  }
}

const isAccepted = ({ event }: Event) => event === 'accepted'

const listenersOf = async (service: Service) =>
  Number((await service.redis.cli('PUBSUB', 'NUMSUB', '{downloader}:events')).split('\n')[1])

describe('GET /events', () => {
  let service: Service
  let origin: Origin
  before(async () => {
    origin = await startOrigin()
    const config = { processor: { max_retries: 1, retry_backoff_ms: 1 }, notifier: { deletion_interval: 0 } }
    service = await startService({ config })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  it('tells what happens to a job, from every process, as it happens', async () => {
    using client = await listen(service)
    assert.equal(client.response.headers['cache-control'], 'no-store')
    const warm = origin.on('/warm', 'x')
    await eventually(async () => {
      // until all processes know that somebody listens
      const { job_id: first } = await service.download({ url: warm })
      const told = () => new Set(client.events().flatMap(({ id, event }) => (id === first ? event : [])))
      await eventually(
        () => assert.ok(['accepted', 'downloaded', 'delivered', 'deleted'].every((e) => told().has(e))),
        2000,
      )
    }, 15_000)
    let tries = 0
    const url = origin.on('/file', (_request, response) => void response.writeHead(tries++ ? 200 : 503).end('content'))
    const id = await service.enqueue({ url, aggr_id: 'watched' })
    const own = () => client.events().filter((event) => event.id === id)
    await eventually(() => assert.equal(own().at(-1)?.event, 'deleted'))
    const receiver = new URL(service.receiver.url).origin
    const [accepted, others] = [own().filter(isAccepted), own().filter((event) => !isAccepted(event))]
    // a process tells of a job when Redis has it: the next one may be faster
    assert.deepEqual(
      accepted.map(({ room, group }) => [room, group]),
      [['downloads', 'watched']],
    )
    const told = others.map(({ event, room, group, code = '' }) => {
      return [event, room.replace(/^deletions:.*/, 'deletions'), group === receiver ? 'receiver' : group, code]
    })
    const toldIn = (wanted: string) =>
      told.filter(([, room]) => room === wanted).map(([event, , group, code]) => [event, group, code])
    assert.deepEqual(toldIn('downloads'), [
      ['started', 'watched', ''],
      ['retrying', 'watched', 'http.503'],
      ['started', 'watched', ''],
      ['downloaded', 'watched', ''],
    ])
    assert.deepEqual(toldIn('callbacks:http'), [
      ['started', 'receiver', ''],
      ['delivered', 'receiver', ''],
    ])
    assert.deepEqual(
      toldIn('deletions').map(([event]) => event),
      ['started', 'deleted'],
    )
    for (const { at } of own()) assert.ok(Math.abs(Date.parse(at) - Date.now()) < 20_000)
  })

  it('tells only what is asked for', async () => {
    using client = await listen(service, '?aggr_id=wanted&event=downloaded')
    const url = origin.on('/ok', 'content')
    const other = await service.enqueue({ url, aggr_id: 'other' })
    const wanted = await service.enqueue({ url, aggr_id: 'wanted' })
    await service.receiver.callbackOf(other)
    await eventually(() => assert.equal(client.events().length, 1))
    assert.deepEqual([client.events()[0]?.id, client.events()[0]?.event], [wanted, 'downloaded'])
    assert.equal((await service.get('/events?event=x')).status, 400)
    assert.equal((await service.get('/events?aggregation=x')).status, 400)
  })

  it('takes 200 clients, and tells others to come back', async () => {
    await eventually(async () => assert.equal(await listenersOf(service), 0)) // those of other tests have gone
    const requests: http.ClientRequest[] = []
    const open = () =>
      new Promise<void>((resolve, reject) => {
        const begun = http.get(`${service.url}/events`, { agent: false }, (response) => {
          response.on('error', () => {}).resume()
          if (response.statusCode === 200) resolve()
          else reject(new Error(`${response.statusCode}`))
        })
        requests.push(begun.on('error', reject))
      })
    try {
      for (let i = 0; i < 200; i += 50) await Promise.all(Array.from({ length: 50 }, open))
      const { status, headers } = await service.get('/events')
      assert.deepEqual([status, headers.get('retry-after')], [503, '10'])
      requests[0]?.destroy()
      await eventually(open)
    } finally {
      for (const request of requests) request.destroy()
    }
    await eventually(async () => assert.equal(await listenersOf(service), 0))
  })

  it('sends nothing to a client that has gone', async () => {
    const client = await listen(service)
    client.response.destroy()
    await eventually(async () => assert.equal(await listenersOf(service), 0))
  })

  it('keeps a bounded amount for a client that does not read, and says how many it missed', async () => {
    using client = await listen(service, '?job_id=x')
    using end = await listen(service, '?job_id=end')
    client.response.pause()
    const group = 'g'.repeat(1000)
    const event = JSON.stringify({ id: 'x', event: 'started', room: 'downloads', group, atMs: Date.now() })
    const script = "for i = 1, 1000 do redis.call('PUBLISH', KEYS[1], ARGV[1]) end"
    // more than sockets hold, and not so fast that Redis gives its own subscriber up
    for (let i = 0; i < 20; i++) await service.redis.cli('EVAL', script, '1', '{downloader}:events', event)
    await service.redis.cli('PUBLISH', '{downloader}:events', event.replace('"x"', '"end"'))
    await eventually(() => assert.equal(end.events().length, 1)) // the API has got all
    client.response.resume()
    await eventually(async () => {
      await service.redis.cli('PUBLISH', '{downloader}:events', event)
      assert.ok(/^event: dropped\ndata: \d+$/m.test(client.text()), `${client.text().length} characters came`)
    })
    assert.ok(client.events().length < 20_000)
  })

  it('goes on when the connection to Redis was lost', async () => {
    using client = await listen(service)
    await service.redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await eventually(async () => {
      const { job_id } = await service.download({ url: origin.on('/after', 'content') })
      await eventually(
        () =>
          assert.equal(
            client.events().some(({ id }) => id === job_id),
            true,
          ),
        100,
      )
    })
  })

  it('costs nothing while nobody listens', async () => {
    await using quiet = await startService()
    const { job_id } = await quiet.download({ url: origin.on('/quiet', 'x') })
    assert.ok(job_id)
    const stats = await quiet.redis.cli('INFO', 'commandstats')
    const published = await quiet.redis.cli('PUBSUB', 'NUMSUB', '{downloader}:events')
    assert.equal(Number(published.split('\n')[1]), 0)
    // bells are rung by scripts; the processes themselves publish nothing
    assert.ok(!/cmdstat_publish:calls=(\d\d\d|[2-9]\d)/.test(stats), /cmdstat_publish.*/.exec(stats)?.[0])
  })

  it('ends when the process stops, which it does not hold up', async () => {
    await using other = await startService({ roles: ['api'], config: { processor: { shutdown_grace_ms: 60_000 } } })
    using client = await listen(other)
    const begin = performance.now()
    assert.equal(await other.role('api').end(), 0)
    await client.closed
    assert.ok(performance.now() - begin < 5000)
  })
})
