import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import { type GoService, goId, goServiceOn } from '../support/go-service.ts'
import { startOrigin } from '../support/http-origin.ts'
import { never, openQueue } from '../support/queue.ts'
import { startRedis } from '../support/redis.ts'
import { startRole, startService } from '../support/service.ts'

const importFrom = (go: GoService, configFile: string, ...flags: string[]) =>
  startRole(['import', '--from', go.url, '-c', configFile, ...flags])

describe('downloader import', () => {
  it('hands the work over to the service: it downloads, calls back and deletes', async () => {
    await using origin = await startOrigin()
    await using server = await startRedis()
    await using go = goServiceOn(server, 3)
    await using service = await startService({ roles: ['processor', 'notifier'] })
    const { receiver, root } = service
    const fileOf = (id: string) => path.join(root, id.slice(0, 3), id)
    const place = async (id: string) => {
      await mkdir(path.dirname(fileOf(id)), { recursive: true })
      await writeFile(fileOf(id), 'from before')
    }

    const callback = { CallbackDst: receiver.url }
    const pending = await go.post({ ...callback, URL: origin.on('/new', 'fresh'), Extra: 'kept' })
    const missing = await go.post({ ...callback, URL: `${origin.url}/missing`, AggrID: 'other' })
    const interrupted = await go.post({ ...callback, URL: origin.on('/interrupted', 'again'), AggrID: 'dead' })
    await go.popJob('dead')
    await go.start(interrupted)
    const downloaded = await go.post({ ...callback, AggrID: 'done' })
    await go.popJob('done')
    await place(downloaded)
    await go.finish(downloaded, { ImageSize: '4x5' })
    const delivered = await go.post({ ...callback, AggrID: 'done' })
    await go.popJob('done')
    await place(delivered)
    await go.delivered(delivered, -1)

    const role = importFrom(go, service.configFile, '--stopped')
    assert.equal(await role.ended, 0, role.stderr())
    assert.match(role.stdout(), /^downloads +2$/m)
    assert.match(role.stdout(), /^interrupted downloads +1$/m)

    const { success, extra, resource_url, size } = await receiver.callbackOf(pending)
    assert.deepEqual({ success, extra, resource_url, size }, { success, extra: 'kept', resource_url, size: 5 })
    assert.equal((await receiver.callbackOf(missing)).error_code, 'http.404')
    assert.equal((await receiver.callbackOf(interrupted)).success, true)
    const known = await receiver.callbackOf(downloaded)
    assert.deepEqual(
      { success: known.success, image_size: known.image_size, response_code: known.response_code },
      { success: true, image_size: '4x5', response_code: 200 },
    )
    assert.equal(known.download_url, `http://files.test/base/${downloaded.slice(0, 3)}/${downloaded}`)
    await eventually(() => assert.equal(existsSync(fileOf(delivered)), false))
    assert.ok(existsSync(fileOf(downloaded)))
    assert.equal(receiver.received.length, 4, 'each is called back once')
  })

  it('says what it refused, and exits with 1; with 2 when it is not told where from', async () => {
    await using server = await startRedis()
    await using go = goServiceOn(server)
    await using service = await startService({ roles: [] })
    const id = await go.post({ URL: 'gopher://origin.example/' })
    const role = importFrom(go, service.configFile, '--dry-run')
    assert.equal(await role.ended, 1)
    assert.ok(role.stdout().includes(`jobs:shop ${id}: url must be an http or https URL`))
    assert.match(role.stdout(), /would be moved/)
    const lost = startRole(['import', '-c', service.configFile])
    assert.equal(await lost.ended, 2)
    assert.match(lost.stderr(), /--from/)
    await go.redis.client('SETNAME', 'notifier')
    const early = importFrom(go, service.configFile, '--stopped')
    assert.equal(await early.ended, 1)
    assert.match(early.stderr(), /^downloader: --stopped: /m)
  })

  // HAND_OVER_SEEDS=1,2,3 kills and stops it at other moments, too.
  for (const seed of (process.env.HAND_OVER_SEEDS ?? '1').split(',').map(Number)) {
    it(`loses and doubles nothing when it is killed or stopped again and again (seed ${seed})`, async function () {
      this.timeout(60_000)
      const random = randomFrom(seed)
      await using source = await startRedis()
      await using target = await startRedis()
      await using go = goServiceOn(source)
      await using q = openQueue(target)
      const dir = await mkdtemp(path.join(os.tmpdir(), 'import-'))
      try {
        const configFile = path.join(dir, 'config.json')
        await writeFile(configFile, JSON.stringify({ redis: q.config, backends: { http: {} } }))
        const ids = await fill(go, 4000)
        const seen = new Map<string, number>()
        const imported = () => q.redis.scard(`${q.base}imported`)

        let kills = 0
        for (let imports = 0; kills < 5 && imports < 15; imports++) {
          const enough = (await imported()) + 1 + Math.floor(random() * 900)
          const role = importFrom(go, configFile)
          let ended = false
          void role.ended.then(() => {
            ended = true
          })
          while (!ended && (await imported()) < enough);
          await delay(random() * 10)
          if ((await role.end(random() < 0.3 ? 'SIGTERM' : 'SIGKILL')) !== 0) kills++
          else for (const id of await fill(go, 2000)) ids.add(id) // it was faster, and has left nothing to be done
          await workOff(100)
        }
        const last = importFrom(go, configFile)
        assert.equal(await last.ended, 0, last.stderr())
        assert.ok(kills >= 3, `only ${kills} imports were killed`)

        const check = startRole(['check', '-c', configFile])
        assert.equal(await check.ended, 0, check.stdout())
        const { requests, states } = await q.check()
        const held = new Set([...requests.keys(), ...states.keys()])
        const twice = [...seen].filter(([id, times]) => times > 1 || held.has(id))
        assert.deepEqual(twice, [], 'worked off, and there again')
        assert.deepEqual(new Set([...held, ...seen.keys()]), ids)
        assert.deepEqual(
          Object.keys(await go.contents()).filter((key) => !/^aggr:|:aggregations$/.test(key)),
          [],
        )

        /** Our workers do some of the jobs meanwhile; nothing is left of them. */
        async function workOff(count: number) {
          const room = q.room()
          for (const claim of (await room.claim(count, never)).claims) {
            seen.set(claim.job.id, (seen.get(claim.job.id) ?? 0) + 1)
            await q.settle(room, claim, { kind: 'gone' })
          }
        }
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    })
  }
})

/** Jobs of all kinds that stand in queues. */
async function fill(go: GoService, count: number): Promise<Set<string>> {
  const ids = Array.from({ length: count }, goId)
  await Promise.all(ids.map((ID, i) => go.post({ ID, AggrID: `shop-${i % 7}` })))
  await Promise.all(
    ids.map(async (id, i) => {
      if (i % 4 !== 0) return
      await go.redis.zrem(`jobs:shop-${i % 7}`, id)
      await (i % 8 === 0 ? go.finish(id) : go.delivered(id, 60))
    }),
  )
  return new Set(ids)
}

/** Numbers from 0 to 1, the same for the same seed (a linear congruential generator). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
