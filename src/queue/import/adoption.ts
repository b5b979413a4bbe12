import type { DownloadRequest } from '../../jobs/job.ts'
import { type Place, termsOf } from '../../jobs/places.ts'
import { type Patch, packPatch, packRequest } from '../../jobs/record.ts'
import type { Write } from '../durable.ts'
import type { Keys } from '../keys.ts'

/** A job of another service, as it is to be ours. */
export interface AdoptedJob {
  id: string
  /** Absent for one of which only the file is left. */
  request?: DownloadRequest
  place: Place & { kind: 'room' | 'rest' }
  /** When it may start, in ms since the epoch; of no meaning at rest. */
  dueMs: number
  patch: Patch
}

/** Ids are remembered for so long after the last import. */
const REMEMBER_MS = 30 * 86_400_000

/**
 * Puts a job of another service where it belongs in ours, under the id that its caller knows.
 *
 * @returns false when we have had a job of that id, which nothing changes then
 */
export function adoption(write: Write, keys: Keys): (job: AdoptedJob) => Promise<boolean> {
  return async ({ id, request, place, dueMs, patch }) => {
    const record = [id, request ? packRequest(request) : '', REMEMBER_MS, place.kind]
    const state = packPatch(patch)
    if (place.kind === 'rest') {
      return (await write('adoptJob', keys.rest(place.reason), ...record, '', '', '', '', ...state)) === 1
    }
    const { room, group, gift = '' } = place
    return (await write('adoptJob', keys.room(room), ...record, dueMs, group, termsOf(place), gift, ...state)) === 1
  }
}
