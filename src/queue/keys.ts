import type { RestReason } from '../jobs/places.ts'

/**
 * Every key of a deployment begins with `{prefix}:`, so that all of them live in one hash slot of a Redis Cluster.
 * What hangs below a room's key is described in lib.lua; docs/redis-keys.md shows them all.
 */
export function keysOf(prefix: string) {
  const base = `{${prefix}}:`
  return {
    /** What every key begins with. */
    base,
    room: (name: string) => `${base}${name}`,
    request: (id: string) => `${base}request:${id}`,
    state: (id: string) => `${base}state:${id}`,
    rest: (reason: RestReason) => `${base}rest:${reason}`,
    totals: `${base}totals`,
    /** Names of the rooms that ever had a job. */
    rooms: `${base}rooms`,
    /** Written by those who ask whether Redis takes writes. */
    probe: `${base}probe`,
    /** Channel: what happens to jobs. */
    events: `${base}events`,
    /** Channel: somebody listens to that. */
    listening: `${base}listening`,
    /** Until when bulk retries have been spread. */
    retries: `${base}retries`,
    /** What happened over time: series.lua has what hangs below it. */
    series: `${base}series`,
    /** Codes and receivers of what rests for this reason. */
    tags: (reason: RestReason) => `${base}tags:${reason}`,
    /** Its aggregations, as tags. */
    aggregationTags: (reason: RestReason) => `${base}tags:${reason}:of`,
    /** Live processes of a role: instance → when it was last seen. */
    instances: (role: string) => `${base}instances:${role}`,
    /** What a live process reports: instance → JSON. */
    reports: (role: string) => `${base}reports:${role}`,
  }
}

export type Keys = ReturnType<typeof keysOf>

/** The lane of a host's jobs in a group, see lanes.lua. */
export const laneOf = (group: string, host: string): string => `${group}\0${host}`

/** What a job is pending in: its group, or there the lane of a host. */
export const pendingIn = ({ group, host }: { group: string; host?: string | undefined }): string =>
  host === undefined ? group : laneOf(group, host)

/** The group and the host of a lane; of a group, only that. */
export function laneParts(lane: string): [group: string, host: string | undefined] {
  const [group = '', host] = lane.split('\0')
  return [group, host]
}
