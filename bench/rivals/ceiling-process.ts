// One Node process and no queue: what is left of the work when nothing is orchestrated, and nothing survives a crash.
import path from 'node:path'
import { now } from '../clock.ts'
import { answer } from '../remote.ts'
import { callBack, download, keepAlive } from './work.ts'

const agent = keepAlive()

export interface CeilingRun {
  url: string
  receiver: string
  dir: string
  jobs: number
  atOnce: number
}

export const commands = {
  async run({ url, receiver, dir, jobs, atOnce }: CeilingRun): Promise<{ ms: number; cpuMs: number; jobMs: number[] }> {
    const cpu = process.cpuUsage()
    const jobMs: number[] = []
    const beginMs = now()
    let next = 0
    const lane = async () => {
      for (let i = next++; i < jobs; i = next++) {
        const startMs = now()
        const file = path.join(dir, String(i))
        await callBack(agent, receiver, `job-${i}`, await download(agent, url, `${file}.tmp`, file))
        jobMs.push(now() - startMs)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, lane))
    const ms = now() - beginMs
    const { user, system } = process.cpuUsage(cpu)
    return { ms, cpuMs: (user + system) / 1000, jobMs }
  },
}
answer(commands)
