import { readFileSync } from 'node:fs'
import type { Result } from 'ioredis'

const read = (name: string) => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8')
const lib = read('lib') + read('lanes')
const rest = read('rest')
const script = (name: string, numberOfKeys = 1) => ({ numberOfKeys, lua: lib + read(name) })
const restScript = (name: string, numberOfKeys = 1) => ({ numberOfKeys, lua: lib + rest + read(name) })
const plain = (name: string, numberOfKeys = 1) => ({ numberOfKeys, lua: read(name) })
const goLib = read('import/lib')
const ofGoService = (name: string, numberOfKeys = 1) => ({ numberOfKeys, lua: goLib + read(`import/${name}`) })

/** For `new Redis({ scripts })`: ioredis sends EVALSHA, and the source where the server does not know it. */
export const scripts = {
  addJobs: script('add'),
  claimJobs: script('claim'),
  extendLeases: script('extend'),
  settleClaim: { numberOfKeys: 2, lua: lib + rest + read('judge') + read('settle') },
  moveJob: restScript('move', 2),
  cancelClaim: script('cancel'),
  takeTurn: script('turn'),
  adjustGroup: script('adjust'),
  amendGroup: script('amend'),
  lookAtJob: plain('look'),
  lookAtGroups: script('look-groups'),
  readJobs: { lua: read('read') }, // any number of keys
  pageOfJobs: { lua: read('page') }, // any number of keys
  reserveTime: plain('reserve'),
  whyWaiting: script('why'),
  touch: plain('touch'),
  reportInstance: plain('report', 2),
  waitingJobs: plain('waits'),
  writeSeries: plain('series'),
  readSeries: plain('read-series'),
  accountJobs: plain('check/account'),
  scanKeys: plain('check/scan'),
  findJobs: plain('check/jobs'),
  checkClaims: script('check/claims'),
  checkGroups: script('check/groups'),
  checkLanes: script('check/lanes'),
  recountRoom: plain('check/recount'),
  mendJob: restScript('check/mend'),
  adoptJob: restScript('import/adopt'),
  peekGoJobs: ofGoService('peek'),
  takeGoJobs: ofGoService('take', 2),
  giveBackGoJob: ofGoService('give-back', 2),
  findGoStrays: ofGoService('strays', 5),
}

/** `{ ms that the leases stand, idleMs, seq, { id, token, group, gift, request, { state … }, host } … }` */
export type ClaimReply = [standsMs: number, idleMs: number, seq: number, ...claims: ClaimRow[]]
export type ClaimRow = [
  id: string,
  token: string,
  group: string,
  gift: string,
  request: string | null,
  state: string[],
  host: string,
]
export type AccountReply = [
  accepted: number,
  gone: number,
  rooms: (string | number)[], // name, pending, claimed, name, …
  rest: (string | number)[], // reason, number, reason, …
  watched: number,
  open: number,
]
/** `{ id, score, { field, value … }, "<limit> <proxy>" }`, see import/lib.lua */
export type GoRow = [id: string, score: string, fields: string[], aggregation: string]

/** `{ id, what became of it, id, … }` */
export type AddReply = string[]
export type LookReply = [
  nowMs: number,
  request: string | null,
  state: string[],
  kind?: 'pending' | 'claimed' | 'rest',
  name?: string,
  group?: string,
  at?: string,
]
/** What read.lua says of a job that is still there. */
export type ReadRow = [score: string, request: string | null, state: string[]]
/** As why.lua lists it. */
export type WhyReply = [
  nowMs: number,
  startsMs: string,
  ahead: number,
  pending: number,
  running: number,
  operator: string,
  brought: string,
  roomLimit: string,
  heldUntilMs: string,
  linePosition: number,
  opensMs: string,
  workers: number,
  runningJobs: string[],
  pacedUntilMs: number,
  host: HostReply | [],
]
export type HostReply = [
  heldUntilMs: number,
  opensMs: number,
  fromMs: number,
  rate: string,
  running: number,
  limit: number,
]

/** Of a group, as look-groups.lua lists it. */
export type GroupRow = [
  pending: number,
  running: number,
  brought: string | null,
  operator: string,
  heldUntilMs: string,
  firstMs: string | null,
  failed: number,
  callbackFailed: number,
  waitingForHosts: number,
]
export type GroupsReply = [nowMs: number, roomLimit: string, ...groups: GroupRow[]]

export type SeriesReply = [nowMs: number, ...buckets: [atMs: number, fields: string[]][]]

type Args = (string | number)[]

declare module 'ioredis' {
  interface RedisCommander<Context> {
    addJobs(room: string, maxPending: number, ...jobs: Args): Result<AddReply, Context>
    claimJobs(room: string, ...args: Args): Result<ClaimReply, Context>
    extendLeases(room: string, ...args: Args): Result<[lost: string[], cancelled: string[]], Context>
    settleClaim(room: string, target: string, ...args: Args): Result<string, Context>
    moveJob(from: string, target: string, ...args: Args): Result<string, Context>
    cancelClaim(room: string, id: string): Result<0 | 1, Context>
    takeTurn(room: string, id: string, token: string): Result<number, Context>
    adjustGroup(room: string, group: string, settings: string): Result<number, Context>
    amendGroup(room: string, group: string, amendment: string): Result<string, Context>
    lookAtGroups(room: string, ...groups: string[]): Result<GroupsReply, Context>
    readJobs(numberOfKeys: number, ...setsAndIds: string[]): Result<(ReadRow | null)[], Context>
    pageOfJobs(numberOfKeys: number, ...keysAndArgs: Args): Result<string[], Context>
    reserveTime(reserved: string, ms: number): Result<number, Context>
    lookAtJob(totals: string, id: string, spots: string, ...reasons: string[]): Result<LookReply, Context>
    whyWaiting(
      room: string,
      id: string,
      group: string,
      host: string,
      silentMs: number,
      named: number,
    ): Result<WhyReply | null, Context>
    touch(probe: string): Result<number, Context>
    reportInstance(instances: string, reports: string, ...args: Args): Result<string[], Context>
    waitingJobs(totals: string, groups: number): Result<(string | number)[], Context>
    writeSeries(series: string, ...args: Args): Result<number, Context>
    readSeries(series: string, ...args: Args): Result<SeriesReply, Context>
    accountJobs(totals: string, ...reasons: string[]): Result<AccountReply, Context>
    scanKeys(totals: string, cursor: string, count: number): Result<[cursor: string, ...keys: string[]], Context>
    findJobs(totals: string, jobs: string, ...reasons: string[]): Result<[0 | 1, ...string[]][], Context>
    checkClaims(room: string, mend: '0' | '1', ...ids: string[]): Result<string[], Context>
    checkGroups(room: string, mend: '0' | '1', ...groups: string[]): Result<string[], Context>
    checkLanes(room: string, mend: '0' | '1', ...lanes: string[]): Result<string[], Context>
    recountRoom(room: string, mend: '0' | '1'): Result<[number, number, number, number, number, number], Context>
    mendJob(totals: string, id: string, ...args: Args): Result<0 | 1, Context>
    adoptJob(target: string, ...args: Args): Result<0 | 1, Context>
    peekGoJobs(queue: string, ...ids: string[]): Result<GoRow[], Context>
    takeGoJobs(queue: string, taken: string, ...ids: string[]): Result<GoRow[], Context>
    giveBackGoJob(taken: string, queue: string, id: string, score: number): Result<0 | 1, Context>
    findGoStrays(...queuesAndIds: string[]): Result<GoRow[], Context>
  }
}
