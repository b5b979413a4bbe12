import type { Random } from '../../../chaos/random.ts'
import { noise } from '../builders.ts'

/** By file name: makes one of many files of a kind. */
export type Generators = Record<string, (random: Random) => Buffer | string>

/** Bytes that nothing is known of. */
export const blob = (random: Random, least: number, most: number): Buffer =>
  noise(random.between(1, 1e9), random.between(least, most))

const WORDS =
  'time year people way day man thing woman life child world school state family student group country problem hand part place case week company system program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father power hour game line end member law car city name'.split(
    ' ',
  )

export const word = (random: Random): string => random.pick(WORDS)

/** @returns e.g. `Word word word.` */
export function sentence(random: Random): string {
  const words = Array.from({ length: random.between(3, 14) }, () => word(random)).join(' ')
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`
}

/** Sentences, some of them on lines of their own. */
export const prose = (random: Random, sentences: number): string =>
  Array.from({ length: sentences }, () => sentence(random) + random.pick([' ', ' ', '\n'])).join('')
