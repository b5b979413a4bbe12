import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { startReceiver } from '../support/http-receiver.ts'
import { type Service, startService } from '../support/service.ts'

const LEASE_MS = 1000
const quickLeases = { processor: { lease_ms: LEASE_MS }, notifier: { lease_ms: LEASE_MS } }

/** Jobs at once, so that a test need not wait for one POST after the other. */
async function enqueueMany(service: Service, count: number, job: (i: number) => Record<string, unknown>) {
  const ids: string[] = []
  for (let i = 0; i < count; i += 25) {
    const batch = Array.from({ length: Math.min(25, count - i) }, (_, k) => service.enqueue(job(i + k)))
    ids.push(...(await Promise.all(batch)))
  }
  return ids
}

/** Answers after `ms`, and counts what is open at any instant. */
function slowly(origin: Origin, path: string, ms: number): string {
  return origin.on(path, (_request, response) => {
    const timer = setTimeout(() => response.end('content'), ms)
    response.once('close', () => clearTimeout(timer))
  })
}

/** Sends one byte after the other, which nobody waits for. */
function dribble(response: ServerResponse): void {
  const timer = setInterval(() => response.write('.'), 20)
  const end = setTimeout(() => response.end(), 2000)
  response.once('close', () => {
    clearInterval(timer)
    clearTimeout(end)
  })
}

function sendGzip(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-encoding': 'gzip' }).write(gzipSync(text))
}

function idsIn(service: Service): Set<string> {
  return new Set(service.receiver.received.map(({ callback }) => callback.job_id))
}

describe('the two promises', () => {
  it('three processors never pass the limit of an aggregation, and use it', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ roles: ['api', 'processor', 'processor', 'processor', 'notifier'] })
    const url = slowly(origin, '/slow', 100)
    const ids = await enqueueMany(service, 200, () => ({ url, aggr_id: 'capped', aggr_limit: 10 }))
    await service.receiver.count(ids.length)
    assert.equal(origin.maxOpen, 10)
    assert.deepEqual(idsIn(service), new Set(ids))
  })

  it('the limit of an aggregation counts a request until the origin has it open no more, however its job ended', async () => {
    await using service = await startService({ config: { processor: { max_retries: 0 } } })
    for (const [what, answer] of [
      ['failures', (response: ServerResponse) => response.writeHead(404)],
      ['bodies of a type that is not wanted', (response: ServerResponse) => response.write('x'.repeat(16_384))],
      ['bodies that were decoded to their end', (response: ServerResponse) => sendGzip(response, 'content')],
      ['redirects', (response: ServerResponse) => response.writeHead(302, { location: '/elsewhere' })],
    ] as const) {
      await using origin = await startOrigin()
      origin.on('/elsewhere', 'content')
      const url = origin.on('/dribbles', (_request, response) => {
        answer(response)
        dribble(response)
      })
      const job = { url, aggr_id: what, aggr_limit: 2, mime_type: 'image/*' }
      const ids = await enqueueMany(service, 20, () => job)
      await Promise.all(ids.map((id) => service.receiver.callbackOf(id)))
      assert.equal(origin.maxOpen, 2, what)
    }
  })

  it('the limit of a receiver counts callbacks until they are answered to the end', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ config: { notifier: { receiver_concurrency: 2 } } })
    let open = 0
    let maxOpen = 0
    service.receiver.answer = (_received, _request, response) => {
      maxOpen = Math.max(maxOpen, ++open)
      response.once('close', () => open--)
      response.writeHead(200)
      dribble(response)
      return undefined
    }
    await enqueueMany(service, 20, () => ({ url: origin.on('/file', 'content') }))
    await service.receiver.count(20)
    assert.equal(maxOpen, 2)
  })

  for (const victim of ['processor', 'notifier']) {
    it(`a ${victim} that is killed under load loses nothing, and its jobs count no attempt`, async () => {
      await using origin = await startOrigin()
      await using service = await startService({
        config: { processor: { ...quickLeases.processor, max_retries: 0 }, notifier: quickLeases.notifier },
      })
      const url = slowly(origin, '/file', 30)
      service.receiver.answer = (_received, _request, response) => {
        setTimeout(() => response.writeHead(200).end(), 20)
        return undefined
      }
      const enqueued = enqueueMany(service, 300, (i) => ({ url, aggr_id: `a${i % 5}`, aggr_limit: 6 }))
      for (let round = 0; round < 2; round++) {
        await service.receiver.count(40 * (round + 1))
        const role = service.roles.findLast(({ name }) => name === victim)
        await role?.end('SIGKILL')
        await service.add(victim)
      }
      const ids = await enqueued
      await eventually(() => assert.deepEqual(idsIn(service), new Set(ids)), 15_000)
      assert.ok(origin.maxOpen <= 30, `${origin.maxOpen} requests were open`)
      assert.equal(
        service.receiver.received.every(({ callback }) => callback.success),
        true,
      )
      // a processor that starts removes what the dead one left
      await eventually(async () => assert.deepEqual(await readdir(service.tempDir), []))
    })
  }

  it('a job that kills its processor again and again fails as stalled', async () => {
    await using origin = await startOrigin()
    await using service = await startService({
      config: { processor: { ...quickLeases.processor, lease_ms: 1500, max_stalls: 2, max_retries: 0 } },
    })
    const id = await service.enqueue({ url: origin.on('/hangs', () => {}) })
    for (let kills = 0; kills < 2; kills++) {
      await eventually(() => assert.equal(origin.requests.length, kills + 1))
      await service.roles.findLast(({ name }) => name === 'processor')?.end('SIGKILL')
      await service.add('processor')
    }
    const callback = await service.receiver.callbackOf(id)
    assert.equal(callback.error_code, 'worker.stalled')
    assert.equal(origin.requests.length, 2)
  })

  it('a processor that is frozen beyond its lease does not touch the job that another has taken', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ config: quickLeases })
    let requests = 0
    const id = await service.enqueue({
      url: origin.on('/first-hangs', (_request, response) => {
        if (requests++ === 0) response.write('from the first')
        else response.end('from the second')
      }),
    })
    await eventually(() => assert.equal(requests, 1))
    const first = service.role('processor')
    first.child.kill('SIGSTOP')
    await service.add('processor')
    const { sha256, size } = await service.receiver.callbackOf(id)
    first.child.kill('SIGCONT')
    await first.logged(({ msg, job_id }) => msg === 'lost a lease' && job_id === id)
    assert.equal(size, 'from the second'.length)
    await delay(2 * LEASE_MS) // long enough for a second callback, if there were one
    assert.deepEqual(
      service.receiver.received.map(({ callback }) => [callback.job_id, callback.sha256]),
      [[id, sha256]],
    )
  })

  it('a receiver that hangs delays no other', async () => {
    await using origin = await startOrigin()
    await using hanging = await startReceiver()
    await using service = await startService({ config: { notifier: { concurrency: 4 } } })
    hanging.answer = () => undefined
    const url = origin.on('/file', 'content')
    await enqueueMany(service, 50, () => ({ url, callback_dst: hanging.url }))
    await hanging.count(4)
    const began = performance.now()
    const ids = await enqueueMany(service, 50, () => ({ url }))
    await service.receiver.count(ids.length)
    assert.ok(performance.now() - began < 4000, 'the other receiver waited')
    assert.equal(hanging.received.length, 4, 'no more than the receiver\u2019s limit at once')
  })

  it('Redis that goes away and comes back loses nothing, and nothing has to be restarted', async () => {
    await using redis = await (await import('../support/redis.ts')).startRedis({ appendonly: 'always' })
    await using origin = await startOrigin()
    await using service = await startService({ config: quickLeases, redis })
    const url = slowly(origin, '/file', 20)
    const ids = await enqueueMany(service, 100, () => ({ url, aggr_limit: 5 }))
    await service.receiver.count(10)
    await redis.kill()
    await delay(1500) // away for longer than a lease
    await redis.start()
    await eventually(() => assert.deepEqual(idsIn(service), new Set(ids)), 15_000)
    assert.ok(origin.maxOpen <= 5, `${origin.maxOpen} requests were open`)
    assert.deepEqual(
      service.roles.map(({ child }) => child.exitCode),
      service.roles.map(() => null),
    )
  })

  it('a Redis that forgets everything is used on, scripts and all', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ config: quickLeases })
    const url = origin.on('/file', 'content')
    assert.equal((await service.download({ url })).success, true)
    await service.redis.cli('FLUSHALL')
    await service.redis.cli('SCRIPT', 'FLUSH')
    assert.equal((await service.download({ url })).success, true)
  })
})
