import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { openStage } from '../stage.ts'
import { round } from '../statistics.ts'

const BYTES = 2 ** 30
const SAMPLE_MS = 50

/** One file of 1 GiB, by curl and by us. */
export async function big() {
  await using stage = await openStage()
  const url = `${stage.origin}/bytes/${BYTES}`
  await stage.called(await stage.enqueue({ aggr_id: 'big', aggr_limit: 1, url: `${stage.origin}/0` })) // all is loaded

  const target = path.join(stage.dir, 'curl')
  const begin = performance.now()
  await promisify(execFile)('curl', ['-s', '-o', target, url])
  const curlMs = performance.now() - begin
  const file = await open(target)
  await file.sync()
  await file.close()
  const curlSyncedMs = performance.now() - begin

  stage.begin()
  const rss: number[] = []
  const sampling = setInterval(() => rss.push(stage.rss().processor ?? 0), SAMPLE_MS)
  const posted = performance.timeOrigin + performance.now()
  const id = await stage.enqueue({ aggr_id: 'big', aggr_limit: 1, url })
  const endToEndMs = (await stage.called(id)) - posted
  clearInterval(sampling)
  const { openMs: transferMs } = await stage.report()
  const half = rss.slice(Math.floor(rss.length / 2))
  return {
    curl_s: round(curlMs / 1000),
    curl_and_fsync_s: round(curlSyncedMs / 1000),
    transfer_s: round(transferMs / 1000),
    end_to_end_s: round(endToEndMs / 1000),
    // more is better: 1 is as fast as curl
    transfer_of_curl: round(curlMs / transferMs),
    // less is better
    end_to_end_of_curl_and_fsync: round(endToEndMs / curlSyncedMs),
    rss_mb: round(Math.max(...rss) / 1e6, 0),
    rss_growth_mb: round((Math.max(...half) - Math.max(...rss.slice(0, half.length))) / 1e6, 0),
  }
}
