import assert from 'node:assert/strict'
import { laneOf, laneParts } from '../../src/queue/keys.ts'
import type { GroupSettings } from '../../src/queue/queue.ts'
import type { Client } from '../../src/queue/redis.ts'

/** A room as it stands in Redis; see src/queue/lib.lua. */
export interface RoomState {
  limit: number | undefined
  /** How many claim calls gave jobs. */
  seq: number
  /** How many jobs are pending, as the room counts them. */
  counted: number
  line: Map<string, number>
  due: Map<string, number>
  groups: Map<string, string>
  overrides: Map<string, string>
  holds: Map<string, number>
  leases: Map<string, number>
  claims: Map<string, { token: string; score: number; group: string; host: string }>
  /** When it last ran on another server than before. */
  forgot: number
  /** By group, and by lane. */
  pending: Map<string, Map<string, number>>
  /** Of groups that have lanes: hosts, and whose turn it is; 0: it does not wait for the group. */
  lanes: Map<string, Map<string, number>>
  /** Of groups that have lanes: how many jobs are in them. */
  waiting: Map<string, number>
  /** Of hosts: groups whose lanes wait for them. */
  queues: Map<string, Map<string, number>>
  /** What is known of hosts. */
  hosts: Map<string, Map<string, string>>
  /** By lane: until when its host may not be asked. */
  held: Map<string, number>
  running: Map<string, Set<string>>
  /** Requests at once to a host; 0: no limit. */
  hostLimit: number
  /** Of groups with a rate: when all of their burst will be there again. */
  paces: Map<string, number>
  claimed: Map<string, Set<string>>
  left: Map<string, Set<string>>
  calls: Map<string, string>
}

export interface Snapshot {
  /** ms since the epoch by Redis's clock */
  now: number
  rooms: Map<string, RoomState>
  rest: Map<string, Map<string, number>>
  /** Of each reason and tag, as `<reason>:<tag>`. */
  tagged: Map<string, Map<string, number>>
  requests: Map<string, string>
  states: Map<string, Map<string, string>>
  totals: Map<string, number>
  /** The rooms that the deployment says it has. */
  registered: Set<string>
}

export interface CheckOptions {
  /**
   * A limit may have been lowered under what ran in this snapshot: then only groups of which something began since
   * must keep theirs. Without it, all must.
   */
  since?: Snapshot | undefined
  /** ms since the epoch, where the scripts' clock is not Redis's. */
  now?: number
}

/** A key as it is in Redis; hashes and zsets are flat: name, value, name, value … */
type Row = [key: string, type: string, ttlMs: number, value: string[]]

/** Everything that a deployment has in Redis at one moment. */
export interface Dump {
  now: number
  rows: Row[]
}

// One script, so that what is seen is of one moment.
const DUMP = `
local time = redis.call('TIME')
local reply = { time[1] * 1000 + math.floor(time[2] / 1000) }
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local kind = redis.call('TYPE', key).ok
  local value
  if kind == 'string' then value = { redis.call('GET', key) }
  elseif kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  else value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
  reply[#reply + 1] = { key, kind, redis.call('PTTL', key), value }
end
return reply`

export async function dumpOf(redis: Client, base: string): Promise<Dump> {
  const [now, ...rows] = (await redis.eval(DUMP, 1, base, base)) as [number, ...Row[]]
  return { now, rows }
}

const pairs = (flat: string[]): [string, string][] =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1] as string])
const texts = (flat: string[]) => new Map(pairs(flat))
const numbers = (flat: string[]) => new Map(pairs(flat).map(([name, value]) => [name, Number(value)]))

/** Every key and its value, in an order that depends on nothing: for `assert.deepEqual`. */
export function contentsOf({ rows }: Dump): Record<string, unknown> {
  const contents = new Map<string, unknown>()
  for (const [key, kind, , value] of rows) {
    // who called when, and on which server, changes with every call
    if (key.endsWith(':workers')) continue
    const fields = () => pairs(value).filter(([field]) => field !== 'server')
    contents.set(
      key,
      kind === 'hash' ? Object.fromEntries(fields().sort()) : kind === 'set' ? [...value].sort() : value,
    )
  }
  return Object.fromEntries([...contents].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const newRoom = (): RoomState => ({
  limit: undefined,
  seq: 0,
  counted: 0,
  line: new Map(),
  due: new Map(),
  groups: new Map(),
  overrides: new Map(),
  holds: new Map(),
  leases: new Map(),
  claims: new Map(),
  pending: new Map(),
  lanes: new Map(),
  waiting: new Map(),
  queues: new Map(),
  hosts: new Map(),
  held: new Map(),
  running: new Map(),
  hostLimit: 0,
  forgot: -Infinity,
  paces: new Map(),
  claimed: new Map(),
  left: new Map(),
  calls: new Map(),
})

export async function snapshotOf(redis: Client, base: string): Promise<Snapshot> {
  return readDump(await dumpOf(redis, base), base)
}

export function readDump({ now, rows }: Dump, base: string): Snapshot {
  const snapshot: Snapshot = {
    now,
    rooms: new Map(),
    rest: new Map(),
    tagged: new Map(),
    requests: new Map(),
    states: new Map(),
    totals: new Map(),
    registered: new Set(),
  }
  for (const row of rows) place(snapshot, base, row)
  return snapshot
}

/** Reads one key into the snapshot; a key that nobody knows is an error. */
function place(snapshot: Snapshot, base: string, [key, kind, ttlMs, value]: Row): void {
  const { rooms, rest, tagged, requests, states } = snapshot
  const name = key.slice(base.length)
  const [, own, id = ''] = /^(request|state|rest|instances|reports|series|tags):(.*)$/s.exec(name) ?? []
  if (own === 'request') return void requests.set(id, value[0] ?? '')
  if (own === 'state') return void states.set(id, texts(value))
  if (own === 'rest') return void (id.includes(':') ? tagged : rest).set(id, numbers(value))
  if (own) return
  if (name.startsWith('idempotency:') || name === 'retries') {
    assert.ok(ttlMs >= 0, `${key} stays for ever`)
    return
  }
  if (name === 'totals') {
    snapshot.totals = numbers(value)
    return
  }
  if (name === 'imported') {
    assert.ok(ttlMs >= 0, `${key} stays for ever`)
    return
  }
  if (name === 'rooms') {
    snapshot.registered = new Set(value)
    return
  }

  // a group may be called anything, so what is in front of it is looked for first
  const [, ofGroup, part, group = ''] =
    /^(.+?):(pending|claimed|left|call|pace|lanes|queue|host|hold|late|running):(.*)$/s.exec(name) ?? []
  const [, ofRoom, list] =
    /^(.+?):(line|due|groups|waiting|overrides|holds|leases|claims|workers|hosts|open)$/s.exec(name) ?? []
  const roomName = ofGroup ?? ofRoom ?? name
  const room = rooms.get(roomName) ?? newRoom()
  rooms.set(roomName, room)
  if (part === 'pending') room.pending.set(group, numbers(value))
  else if (part === 'claimed' || part === 'left' || part === 'running') room[part].set(group, new Set(value))
  else if (part === 'lanes') room.lanes.set(group, numbers(value))
  else if (part === 'queue') room.queues.set(group, numbers(value))
  else if (part === 'host' || part === 'hold' || part === 'pace') {
    assert.ok(ttlMs >= 0, `${key} stays for ever`)
    if (part === 'host') room.hosts.set(group, texts(value))
    else room[part === 'hold' ? 'held' : 'paces'].set(group, Number(value[0]))
  } else if (part === 'late') {
    assert.ok(ttlMs >= 0, `${key} stays for ever`)
  } else if (part === 'call') {
    assert.ok(ttlMs >= 0, `${key} stays for ever`)
    room.calls.set(group, value[0] ?? '')
  } else if (list === 'line' || list === 'due' || list === 'leases' || list === 'holds' || list === 'waiting')
    room[list] = numbers(value)
  else if (list === 'groups' || list === 'overrides') room[list] = texts(value)
  else if (list === 'workers' || list === 'hosts' || list === 'open') return
  else if (list === 'claims') for (const [id, claim] of pairs(value)) room.claims.set(id, parseClaim(claim))
  else {
    assert.equal(kind, 'hash', `${key} is no key of ours`)
    const own = numbers(value)
    // which server and which call, not what the room holds
    for (const field of own.keys())
      assert.match(field, /^(limit|host_limit|pending|seq|server|forgot|opens|since)$/, `${key} has no such field`)
    room.limit = own.get('limit')
    room.hostLimit = own.get('host_limit') ?? 0
    room.seq = own.get('seq') ?? 0
    room.forgot = own.get('forgot') ?? -Infinity
    room.counted = own.get('pending') ?? 0
  }
}

function parseClaim(text: string) {
  const [, token, score, group, host = ''] = /^(\S+) (\S+) ([^\0]*)(?:\0([^\0]+)\0\d+)?$/.exec(text) ?? []
  assert.ok(token !== undefined && score !== undefined && group !== undefined, `a claim reads ${JSON.stringify(text)}`)
  return { token, score: Number(score), group, host }
}

/** What the first job of a group brought. */
export function parseGroup(text: string) {
  const [, limit, rate, burst, lanes, gift] = /^(\d+)(?:@([^/+ ]+)\/(\d+))?(\+?) (.*)$/s.exec(text) ?? []
  assert.ok(limit !== undefined && gift !== undefined, `a group reads ${JSON.stringify(text)}`)
  const pace = rate === undefined ? undefined : { perSecond: Number(rate), burst: Number(burst) }
  return { limit: Number(limit), gift, rate: pace, hasLanes: lanes === '+' }
}

/** From when on a pace lets something start: see GCRA in lib.lua. */
export function paceAllowsFrom(full: number, { perSecond, burst }: { perSecond: number; burst: number }): number {
  return Math.ceil(full - (Math.max(burst, 1) - 1) * (1000 / perSecond) - 0.001)
}

/** How many jobs count against the limit of a group. */
const runningIn = ({ claimed, left }: RoomState, group: string): number =>
  (claimed.get(group)?.size ?? 0) - (left.get(group)?.size ?? 0)

/** The limit of a group, and whether it may start anything, worked out anew. */
function rules(room: RoomState, group: string) {
  const operator = JSON.parse(room.overrides.get(group) ?? '{}') as GroupSettings
  const { limit: wanted, paused = false, rate: perSecond, burst = 1 } = operator
  const brought = parseGroup(room.groups.get(group) ?? '0 ')
  const rate = perSecond === undefined ? brought.rate : { perSecond, burst }
  return { limit: wanted ?? (brought.limit > 0 ? brought.limit : (room.limit ?? 1)), paused, rate }
}

/** Recounts everything that a deployment holds in Redis, see `checkBooks`. */
export async function checkInvariants(redis: Client, base: string, options?: CheckOptions): Promise<Snapshot> {
  const snapshot = await snapshotOf(redis, base)
  snapshot.now = options?.now ?? snapshot.now
  checkBooks(snapshot, options)
  return snapshot
}

/**
 * Recounts everything, and throws where the books do not agree: a job in no place or in two, a group that stands where
 * it should not, claims without leases, keys that should be gone.
 */
export function checkBooks(snapshot: Snapshot, { since }: CheckOptions = {}): void {
  const places = new Map<string, string[]>()
  const put = (id: string, where: string) => places.set(id, [...(places.get(id) ?? []), where])

  for (const [reason, ids] of snapshot.rest) for (const id of ids.keys()) put(id, `rest ${reason}`)
  for (const [name, room] of snapshot.rooms) {
    for (const [lane, ids] of room.pending) for (const id of ids.keys()) put(id, `pending in ${name} ${lane}`)
    const pending = [...room.pending.values()].reduce((sum, ids) => sum + ids.size, 0)
    assert.equal(room.counted, pending, `${name} counts what is pending`)
    if (pending > 0) assert.ok(snapshot.registered.has(name), `${name} is known as a room`)
    for (const [group, ids] of room.claimed) for (const id of ids) put(id, `claimed in ${name} ${group}`)
    const before = since?.rooms.get(name) ?? (since ? newRoom() : undefined)
    checkClaims(name, room, before)
    checkGroups(name, room, snapshot.now, before)
  }

  for (const [id, where] of places) {
    assert.equal(where.length, 1, `job ${id} is in more than one place: ${where.join(', ')}`)
    assert.ok(snapshot.requests.has(id) || snapshot.states.has(id), `job ${id} has no record, but is ${where}`)
  }
  checkTags(snapshot)
  const jobs = new Set([...snapshot.requests.keys(), ...snapshot.states.keys()])
  for (const id of jobs) assert.ok(places.has(id), `job ${id} is in no place`)
  const { totals } = snapshot
  assert.equal((totals.get('accepted') ?? 0) - (totals.get('gone') ?? 0), jobs.size, 'jobs accepted and not gone')
}

/** What is found by a tag is what rests and has it. */
function checkTags({ rest, tagged, states }: Snapshot): void {
  const expected = new Map<string, Map<string, number>>()
  for (const [reason, ids] of rest) {
    for (const [id, since] of ids) {
      for (const tag of JSON.parse(states.get(id)?.get('tags') ?? '[]') as string[]) {
        const name = `${reason}:${tag}`
        expected.set(name, (expected.get(name) ?? new Map()).set(id, since))
      }
    }
  }
  assert.deepEqual(new Map([...tagged].sort()), new Map([...expected].sort()), 'what rests is found by its tags')
}

function checkClaims(name: string, room: RoomState, before: RoomState | undefined): void {
  const claimed = [...room.claimed].flatMap(([group, ids]) => [...ids].map((id): [string, string] => [id, group]))
  const ids = claimed.map(([id]) => id).sort()
  assert.deepEqual([...room.claims.keys()].sort(), ids, `${name}: claims are what is claimed`)
  assert.deepEqual([...room.leases.keys()].sort(), ids, `${name}: leases are what is claimed`)
  for (const [id, group] of claimed) assert.equal(room.claims.get(id)?.group, group, `${name}: group of claim ${id}`)
  for (const [host, ids] of room.running) {
    for (const id of ids) assert.equal(room.claims.get(id)?.host, host, `${name}: ${id} runs at ${host}`)
    const began = [...ids].some((id) => room.claims.get(id)?.token !== before?.claims.get(id)?.token)
    const fits = room.hostLimit === 0 || ids.size <= room.hostLimit
    assert.ok(fits || (before && !began), `${name}: ${host} runs ${ids.size} of ${room.hostLimit}`)
  }
  for (const [group, ids] of room.left) {
    for (const id of ids) assert.ok(room.claimed.get(group)?.has(id), `${name}: ${id} left, but is not claimed`)
  }
}

function checkGroups(name: string, room: RoomState, now: number, before: RoomState | undefined): void {
  const live = new Set([...room.pending.keys(), ...room.claimed.keys()].map((lane) => laneParts(lane)[0]))
  assert.deepEqual([...room.groups.keys()].sort(), [...live].sort(), `${name}: groups are those with jobs`)
  for (const stray of [room.line, room.due, room.holds]) {
    for (const who of stray.keys()) {
      const [group, host] = laneParts(who)
      const known = host === undefined ? live.has(group) : group ? room.pending.has(who) : room.queues.has(host)
      assert.ok(known, `${name}: ${JSON.stringify(who)} has no jobs`)
    }
  }
  for (const group of live) {
    const where = `${name}: group ${JSON.stringify(group)}`
    const { limit, paused, rate } = rules(room, group)
    const running = runningIn(room, group)
    const began = [...(room.claimed.get(group) ?? [])].some((id) => {
      return room.claims.get(id)?.token !== before?.claims.get(id)?.token
    })
    assert.ok(running <= limit || (before && !began), `${where} runs ${running} of ${limit}`)

    const waiting = [...(room.lanes.get(group) ?? [])].some(([host, position]) => host !== '' && position > 0)
    const head = waiting ? 0 : Math.min(...(room.pending.get(group)?.values() ?? []))
    const may = head !== Infinity && !paused && running < limit
    const used = rate ? room.forgot + (Math.max(rate.burst, 1) * 1000) / rate.perSecond : 0
    const pace = rate ? paceAllowsFrom(Math.max(used, room.paces.get(group) ?? 0), rate) : 0
    checkStanding(room, group, where, now, may ? Math.max(head, room.holds.get(group) ?? 0, pace) : undefined)
  }
  checkLanes(name, room, now)
}

/** @param at from when on it may start something; undefined: not before something else happens */
function checkStanding(room: RoomState, who: string, where: string, now: number, at: number | undefined): void {
  const inLine = room.line.has(who)
  const due = room.due.get(who)
  if (at === undefined) {
    assert.ok(!inLine, `${where} stands in the line, but cannot start anything`)
    assert.equal(due, undefined, `${where} is due, but cannot start anything`)
  } else {
    assert.ok(inLine !== (due !== undefined), `${where} can start, and stands in the line or is due, not both`)
    if (inLine) assert.ok(at <= now, `${where} stands in the line ${at - now} ms too early`)
    else if (at > now || Number(due) > now) assert.equal(due, at, `${where} is due when its first job is`)
  }
}

/** Every lane has jobs, is known to its group, and waits for one thing. */
function checkLanes(name: string, room: RoomState, now: number): void {
  const known = [...room.lanes].flatMap(([group, hosts]) => {
    assert.ok(hosts.has('') && hosts.size > 1, `${name}: ${JSON.stringify(group)} has lanes`)
    return [...hosts.keys()].filter((host) => host !== '').map((host) => laneOf(group, host))
  })
  const lanes = [...room.pending.keys()].filter((lane) => laneParts(lane)[1] !== undefined)
  assert.deepEqual(known.sort(), lanes.sort(), `${name}: lanes are those with jobs`)
  for (const [group, text] of room.groups) {
    assert.equal(parseGroup(text).hasLanes, room.lanes.has(group), `${name}: ${JSON.stringify(group)} notes its lanes`)
  }
  const waiting = new Map<string, number>()
  for (const lane of lanes) {
    const [group] = laneParts(lane)
    waiting.set(group, (waiting.get(group) ?? 0) + (room.pending.get(lane)?.size ?? 0))
  }
  assert.deepEqual(new Map([...room.waiting].sort()), new Map([...waiting].sort()), `${name}: jobs in lanes`)
  for (const lane of lanes) {
    const [group, host = ''] = laneParts(lane)
    const due = room.due.get(lane)
    const waits = [due !== undefined, room.queues.get(host)?.has(group), (room.lanes.get(group)?.get(host) ?? 0) > 0]
    assert.equal(waits.filter(Boolean).length, 1, `${name}: lane ${JSON.stringify(lane)} waits for one thing: ${waits}`)
    const head = Math.min(...(room.pending.get(lane)?.values() ?? []))
    const held = room.held.get(lane) ?? 0
    if (due !== undefined) {
      assert.ok(due <= Math.max(head, held, now), `${name}: lane ${JSON.stringify(lane)} is due in time`)
    } else assert.ok(Math.max(head, held) <= now, `${name}: lane ${JSON.stringify(lane)} waits too early`)
  }
  for (const [host, groups] of room.queues) {
    for (const group of groups.keys()) {
      assert.ok(room.pending.has(laneOf(group, host)), `${name}: ${JSON.stringify(group)} waits for ${host}`)
    }
    checkHost(name, room, host, now)
  }
}

/** A host that has lanes waiting stands in the line, is due, or waits for one of its jobs to end. */
function checkHost(name: string, room: RoomState, host: string, now: number): void {
  const who = laneOf('', host)
  const due = room.due.get(who)
  const state = room.hosts.get(host)
  if (room.line.has(who)) {
    assert.equal(due, undefined, `${name}: ${host} stands in the line, and is due`)
    assert.ok(Number(state?.get('opens') ?? 0) <= now, `${name}: ${host} stands in the line, and is shut`)
    return
  }
  if (due !== undefined) return
  const probing = room.claims.has(state?.get('probe') ?? '')
  // full when it was looked at last; the limit may have changed since
  const runs = (room.running.get(host)?.size ?? 0) > 0
  assert.ok(probing || runs, `${name}: ${host} has lanes that wait, and nobody would ask it`)
}

const TRAVEL = `
local back = tonumber(ARGV[2])
local function age(key)
  local ttl = redis.call('PTTL', key) - back
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) else redis.call('DEL', key) end
end
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local name = string.sub(key, #ARGV[1] + 1)
  local pending = string.find(name, ':pending:', 1, true)
  local untimed = string.find(name, ':claimed:', 1, true) or string.find(name, ':left:', 1, true)
    or string.find(name, ':lanes:', 1, true) or string.find(name, ':queue:', 1, true)
    or string.find(name, ':running:', 1, true)
  if untimed or string.match(name, '^request:') or string.match(name, '^state:') then
    -- nothing in there is a time that the queue reads
  elseif pending or string.match(name, '^rest:') or string.match(name, ':due$') or string.match(name, ':leases$') then
    local flat = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #flat, 2 do redis.call('ZINCRBY', key, -back, flat[i]) end
  elseif string.find(name, ':call:', 1, true) then
    age(key)
  elseif string.find(name, ':host:', 1, true) then
    local flat = redis.call('HGETALL', key)
    for i = 1, #flat, 2 do
      local field = flat[i]
      local timed = string.find(' opens tried since full cut from held ', ' ' .. field .. ' ', 1, true)
      if timed then redis.call('HSET', key, field, string.format('%.17g', flat[i + 1] - back)) end
    end
    age(key)
  elseif string.find(name, ':pace:', 1, true) or string.find(name, ':hold:', 1, true) then
    redis.call('SET', key, string.format('%.17g', redis.call('GET', key) - back), 'KEEPTTL')
    age(key)
  elseif string.find(name, ':late:', 1, true) then
    local from, to, group = string.match(redis.call('GET', key), '^(%d+) (%d+) (.*)$')
    redis.call('SET', key, string.format('%d %d %s', from - back, math.max(0, to - back), group), 'KEEPTTL')
    age(key)
  elseif string.match(name, ':hosts$') or string.match(name, ':open$') then
    local flat = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #flat, 2 do redis.call('ZINCRBY', key, -back, flat[i]) end
  elseif string.match(name, ':holds$') then
    local flat = redis.call('HGETALL', key)
    for i = 1, #flat, 2 do redis.call('HINCRBYFLOAT', key, flat[i], -back) end
  elseif string.match(name, ':claims$') then
    local flat = redis.call('HGETALL', key)
    for i = 1, #flat, 2 do
      local token, score, group = string.match(flat[i + 1], '^(%S+) (%S+) (.*)$')
      redis.call('HSET', key, flat[i], token .. ' ' .. string.format('%.17g', score - back) .. ' ' .. group)
    end
  end
end`

/**
 * Makes everything that stands in Redis with a time `ms` older, which is the same as if that time had passed: tests
 * need not wait for leases to run out and for jobs to become due.
 */
export async function travel(redis: Client, base: string, ms: number): Promise<void> {
  await redis.eval(TRAVEL, 1, base, base, ms)
}
