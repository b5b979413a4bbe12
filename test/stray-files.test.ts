import assert from 'node:assert/strict'
import { filePath, newJobId } from '../src/jobs/job.ts'
import { newLog } from '../src/log.ts'
import { RedisConfig } from '../src/queue/redis-config.ts'
import type { StoredFile } from '../src/storage/storage.ts'
import { Doubt, strayFiles } from '../src/stray-files.ts'
import { startRedis } from './support/redis.ts'

describe('files without a job', () => {
  it('are none any more to be believed in once Redis has forgotten what it knew', async () => {
    await using redis = await startRedis()
    await redis.cli('HSET', '{downloader}:totals', 'accepted', '1000')
    const kept = newJobId()
    await redis.cli('SET', `{downloader}:request:${kept}`, '{}')
    const file = (id: string): StoredFile => ({ path: filePath(id), size: 1, modifiedMs: 0 })
    async function* list() {
      for (let i = 0; i < 500; i++) yield file(newJobId())
      await redis.cli('FLUSHALL')
      yield file(kept)
    }
    const storage = { list, delete: async () => {} }
    const strays = strayFiles(RedisConfig.parse({ addr: redis.addr }), storage, newLog('test', 'silent'))
    const told: string[] = []
    try {
      const found = strays.find(
        Date.now(),
        (files) => void told.push(...files.map(({ path }) => path)),
        new AbortController().signal,
      )
      await assert.rejects(found, Doubt)
      assert.deepEqual(told, [])
    } finally {
      strays.close()
    }
  })
})
