import { z } from 'zod'

/** A duration in a configuration, in ms: as long as a timer of Node's can be. */
export const milliseconds = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1)

/** The same, or 0 for none at all. A longer timer would end at once. */
export const millisecondsOrNone = z
  .number()
  .int()
  .min(0)
  .max(2 ** 31 - 1)
