import { laneParts } from '../../../src/queue/keys.ts'
import { parseGroup, type Snapshot } from '../../support/queue-invariants.ts'
import type { ModelJob, Reference } from './reference.ts'

/** The same picture of the reference and of the real queue: all that a job, a group or a room is made of. */
export interface View {
  jobs: Record<string, ModelJob>
  rooms: Record<string, unknown>
  totals: { accepted: number; gone: number }
}

export function viewOfReference({ jobs, rooms, totals }: Reference): View {
  const view: View = { jobs: Object.fromEntries(jobs), rooms: {}, totals }
  for (const [name, { limit, groups, overrides, calls, seq }] of rooms) {
    view.rooms[name] = {
      limit,
      seq,
      groups: Object.fromEntries(groups),
      overrides: Object.fromEntries(overrides),
      calls: Object.fromEntries([...calls].map(([worker, { number, ids }]) => [worker, [number, ...ids].join(' ')])),
    }
  }
  return view
}

/** @param names of the rooms that the reference knows of: one in which nothing ever was has no key */
export function viewOfSnapshot(snapshot: Snapshot, names: Iterable<string>): View {
  const { requests, states, rest, rooms, totals } = snapshot
  const view: View = {
    jobs: {},
    rooms: {},
    totals: { accepted: totals.get('accepted') ?? 0, gone: totals.get('gone') ?? 0 },
  }
  const put = (id: string, spot: ModelJob['spot']) => {
    view.jobs[id] = { spot, request: requests.get(id), state: Object.fromEntries(states.get(id) ?? []) }
  }
  for (const [reason, ids] of rest) {
    for (const [id, since] of ids) put(id, { kind: 'rest', reason: reason as never, since })
  }
  for (const name of names) view.rooms[name] = emptyRoom
  for (const [name, room] of rooms) {
    for (const [lane, ids] of room.pending) {
      const [group] = laneParts(lane)
      for (const [id, at] of ids) put(id, { kind: 'pending', room: name, group, at })
    }
    for (const [id, { group, token, score }] of room.claims) {
      const leaseEnd = room.leases.get(id) ?? Number.NaN
      const left = room.left.get(group)?.has(id) ?? false
      put(id, { kind: 'claimed', room: name, group, at: score, token, leaseEnd, left })
    }
    const groups = [...room.groups].map(([group, text]) => {
      const { hasLanes: _, ...terms } = parseGroup(text)
      return [group, { ...terms, holdUntil: room.holds.get(group) ?? 0 }]
    })
    const overrides = [...room.overrides].map(([group, json]) => [group, JSON.parse(json)])
    view.rooms[name] = {
      limit: room.limit,
      seq: room.seq,
      groups: Object.fromEntries(groups),
      overrides: Object.fromEntries(overrides),
      calls: Object.fromEntries(room.calls),
    }
  }
  return view
}

const emptyRoom = { limit: undefined, seq: 0, groups: {}, overrides: {}, calls: {} }
