// One process without a queue: `node --import tsx ceiling.ts ORIGIN RECEIVER DIR JOBS WARM_UP`. Prints its figures as JSON.
import { callBack, download } from './work.ts'

const [origin = '', receiver = '', dir = '', jobs = '', warmUp = ''] = process.argv.slice(2)
const AT_ONCE = 64

async function run(count: number): Promise<void> {
  let next = 0
  const lane = async () => {
    for (let i = next++; i < count; i = next++) await callBack(receiver, `job ${i}`, await download(`${origin}/0`, dir))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

await run(Number(warmUp))
const cpu = process.cpuUsage()
const begin = performance.now()
await run(Number(jobs))
const ms = performance.now() - begin
const { user, system } = process.cpuUsage(cpu)
process.stdout.write(JSON.stringify({ ms, cpuMs: (user + system) / 1000 }))
process.exit()
