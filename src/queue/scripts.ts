import { readFileSync } from 'node:fs'
import type { Result } from 'ioredis'

const read = (name: string) => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8')
const lib = read('lib')
const script = (name: string, numberOfKeys: number) => ({ numberOfKeys, lua: lib + read(name) })

/** For `new Redis({ scripts })`: ioredis sends EVALSHA, and the source where the server does not know it. */
export const scripts = {
  addJob: script('add', 1),
  claimJobs: script('claim', 1),
  extendLeases: script('extend', 1),
  settleClaim: script('settle', 2),
  wakeJob: script('wake', 2),
  adjustGroup: script('adjust', 1),
  reportInstance: { numberOfKeys: 2, lua: read('report') },
}

/** `{ ms that the leases stand, idleMs, { id, token, group, gift, request, { state … } } … }` */
export type ClaimReply = [standsMs: number, idleMs: number, ...claims: ClaimRow[]]
export type ClaimRow = [id: string, token: string, group: string, gift: string, request: string | null, state: string[]]

declare module 'ioredis' {
  interface RedisCommander<Context> {
    addJob(room: string, ...args: (string | number)[]): Result<number, Context>
    claimJobs(room: string, ...args: (string | number)[]): Result<ClaimReply, Context>
    extendLeases(room: string, ...args: (string | number)[]): Result<string[], Context>
    settleClaim(room: string, target: string, ...args: (string | number)[]): Result<string, Context>
    wakeJob(room: string, rest: string, ...args: (string | number)[]): Result<string, Context>
    adjustGroup(room: string, group: string, settings: string): Result<number, Context>
    reportInstance(instances: string, reports: string, ...args: (string | number)[]): Result<string[], Context>
  }
}
