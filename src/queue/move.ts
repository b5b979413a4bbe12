import { type Place, termsOf } from '../jobs/places.ts'
import type { Keys } from './keys.ts'

/**
 * The second key of settle.lua and move.lua, and the arguments that the kind of place takes.
 *
 * @param here the key of where the job is
 */
export function moveTo(
  keys: Keys,
  here: string,
  place: Place & { kind: 'room' | 'rest' | 'gone' },
): [target: string, ...(string | number)[]] {
  switch (place.kind) {
    case 'room': {
      const { room, group, gift = '', delayMs = 0, shrink = false } = place
      return [keys.room(room), group, termsOf(place), gift, delayMs, shrink ? '1' : '0']
    }
    case 'rest':
      return [keys.rest(place.reason)]
    case 'gone':
      return [here]
  }
}
