import { restReasons } from '../../jobs/places.ts'

/** What a key of a deployment is there for. */
export type KeyUse =
  | { use: 'job'; id: string }
  | { use: 'rest'; reason: string }
  /** Those that rest for this reason and have a tag. */
  | { use: 'tagged'; reason: string }
  | { use: 'room'; room: string }
  /** One of the lists that a room has once. */
  | {
      use: 'list'
      room: string
      list:
        | 'line'
        | 'due'
        | 'groups'
        | 'waiting'
        | 'overrides'
        | 'holds'
        | 'leases'
        | 'claims'
        | 'workers'
        | 'hosts'
        | 'open'
    }
  /** `pending` also of a lane. */
  | { use: 'group'; room: string; part: 'pending' | 'claimed' | 'left' | 'lanes'; group: string }
  | { use: 'host'; room: string; part: 'queue' | 'running'; host: string }
  /** What expires by itself: a worker's call, what is known of a host, until when a group may not ask it, whom it passed over, how far ahead of its rate a group is. */
  | { use: 'passing'; room: string }
  | { use: 'other' }

const TYPES: Record<string, string> = {
  request: 'string',
  state: 'hash',
  rest: 'zset',
  instances: 'zset',
  reports: 'hash',
  totals: 'hash',
  rooms: 'set',
  probe: 'string',
  retries: 'string',
  imported: 'set',
  series: 'hash',
  tags: 'set',
  idempotency: 'string',
  line: 'zset',
  due: 'zset',
  groups: 'hash',
  waiting: 'hash',
  overrides: 'hash',
  holds: 'hash',
  leases: 'zset',
  claims: 'hash',
  workers: 'zset',
  pending: 'zset',
  claimed: 'set',
  left: 'set',
  call: 'string',
  host: 'hash',
  hold: 'string',
  late: 'string',
  pace: 'string',
  lanes: 'zset',
  queue: 'zset',
  running: 'set',
  hosts: 'zset',
  open: 'zset',
}

const PASSING = ['call', 'host', 'hold', 'late', 'pace']

/**
 * Reads the name of a key, without what all keys of the deployment begin with; docs/redis-keys.md lists them.
 *
 * @returns its use, and the Redis type that it must have; undefined for a key that is none of ours
 */
export function useOf(name: string, rooms: Set<string>): { is: KeyUse; type: string } | undefined {
  const typed = (word: string, is: KeyUse) => ({ is, type: TYPES[word] ?? '' })
  if (['totals', 'rooms', 'imported', 'probe', 'retries'].includes(name)) return typed(name, { use: 'other' })
  if (rooms.has(name)) return { is: { use: 'room', room: name }, type: 'hash' }
  const [, own = '', id = ''] =
    /^(request|state|rest|instances|reports|idempotency|series|tags):(.*)$/s.exec(name) ?? []
  if (own === 'request' || own === 'state') return typed(own, { use: 'job', id })
  if (own === 'rest') {
    const [reason = ''] = id.split(':', 1)
    if (!(restReasons as readonly string[]).includes(reason)) return undefined
    return typed(own, { use: id === reason ? 'rest' : 'tagged', reason })
  }
  if (own) return typed(own, { use: 'other' })
  // a group may be called anything, so what stands in front of it is looked for first
  const [, of, part = '', member = ''] =
    /^(.+?):(pending|claimed|left|lanes|queue|running|call|host|hold|late|pace):(.*)$/s.exec(name) ?? []
  if (of && PASSING.includes(part)) return typed(part, { use: 'passing', room: of })
  if (of && (part === 'queue' || part === 'running')) return typed(part, { use: 'host', room: of, part, host: member })
  if (of) return typed(part, { use: 'group', room: of, part: part as 'pending', group: member })
  const [, room, list = ''] =
    /^(.+?):(line|due|groups|waiting|overrides|holds|leases|claims|workers|hosts|open)$/s.exec(name) ?? []
  if (room) return typed(list, { use: 'list', room, list: list as 'line' })
  return ROOM.test(name) ? { is: { use: 'room', room: name }, type: 'hash' } : undefined
}

/** Rooms are among `rooms` since their first job; their workers call before that. */
const ROOM = /^(downloads$|callbacks:|deletions:)/

/** Lists that have entries without jobs or claims. */
export const OUTLIVING = ['overrides', 'workers', 'hosts', 'open']

/** Whether a key is there only where its room has, or had, a job. */
export const tellsOfJobs = (is: KeyUse): is is KeyUse & { room: string } =>
  is.use === 'group' || is.use === 'host' || (is.use === 'list' && !OUTLIVING.includes(is.list))
