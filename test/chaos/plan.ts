import { createCipheriv, createHash } from 'node:crypto'
import { randomOf } from './random.ts'
import { AGGREGATIONS, type ReceiverName } from './settings.ts'

/** How the origin answers one request. */
export type Answer =
  | { kind: 'whole'; delayMs: number }
  /** In pieces. */
  | { kind: 'slow'; delayMs: number; pieces: number }
  /** The connection is reset before anything was sent. */
  | { kind: 'reset'; delayMs: number }
  /** Half of the body, and then nothing more. */
  | { kind: 'stall'; delayMs: number }
  /** Half of the body, and then the end of the connection. */
  | { kind: 'truncated'; delayMs: number }
  | { kind: 'status'; delayMs: number; status: number }

/** How a receiver answers one callback. */
export type Reaction = { kind: 'accept'; delayMs: number } | { kind: 'refuse' } | { kind: 'hang' }

/** All that there is to know of a job before it is posted; a pure function of seed and number. */
export interface Plan {
  n: number
  aggregation: string
  limit: number
  /** bytes */
  size: number
  /** How the origin answers the first requests; later ones are answered well, or, where a status is final, with it. */
  answers: Answer[]
  receiver: ReceiverName
  /** How the receiver reacts to the first callbacks; later ones are accepted, but by the dead one. */
  reactions: Reaction[]
  /** Whether the download ends well. */
  success: boolean
}

/** Long enough that the limits are reached. */
const DELAY_MS = [50, 600] as const

export function planOf(seed: string, n: number): Plan {
  const random = randomOf(`${seed} job ${n}`)
  const aggregation = random.weighted(AGGREGATIONS)
  const missing = random.next() < 0.02
  // outlasts a lease that is not extended, and lies in a temporary file meanwhile
  const long = !missing && random.next() < 0.02
  const size = {
    small: () => random.between(1, 20_000),
    medium: () => random.between(20_000, 200_000),
    large: () => random.between(300_000, 900_000), // too large to stay in memory
  }[long ? 'large' : random.weighted({ small: 75, medium: 20, large: 5 })]()

  const delayMs = () => random.between(...DELAY_MS)
  const answers: Answer[] = []
  for (let i = random.weighted({ 1: 85, 2: 10, 3: 5 }); answers.length < Number(i) - 1; ) {
    const kind = random.weighted({ reset: 1, stall: 1, truncated: 1, status: 2 })
    answers.push(
      kind === 'status'
        ? { kind, delayMs: delayMs(), status: random.pick([500, 429, 503]) }
        : { kind, delayMs: delayMs() },
    )
  }
  if (missing) answers.push({ kind: 'status', delayMs: delayMs(), status: 404 })
  else if (long) answers.push({ kind: 'slow', delayMs: delayMs(), pieces: random.between(40, 65) })
  else if (random.next() < 0.08) answers.push({ kind: 'slow', delayMs: delayMs(), pieces: random.between(3, 12) })

  const receiver = random.weighted({ good: 60, moody: 39, dead: 1 })
  const reactions: Reaction[] = []
  const trouble = random.next()
  if (receiver === 'moody' && trouble < 0.05) reactions.push({ kind: 'hang' })
  else if (trouble < 0.1) reactions.push({ kind: 'refuse' })
  reactions.push({ kind: 'accept', delayMs: random.between(0, 80) })

  const limit = AGGREGATIONS[aggregation] ?? 1
  return { n, aggregation, limit, size, answers, receiver, reactions, success: !missing }
}

/** How the origin answers the request of this number, from 0. */
export function answerTo({ answers }: Plan, request: number): Answer {
  const planned = answers[request]
  if (planned) return planned
  const last = answers.at(-1)
  return last?.kind === 'status' && last.status === 404 ? last : { kind: 'whole', delayMs: 100 }
}

/** How the receiver reacts to the callback of this number, from 0. */
export function reactionTo({ receiver, reactions }: Plan, callback: number): Reaction {
  if (receiver === 'dead') return { kind: 'hang' }
  return reactions[callback] ?? { kind: 'accept', delayMs: 10 }
}

/** Bytes of which no part repeats, so that a file tells whether it is whole and whose it is. */
export function contentOf({ n, size }: Pick<Plan, 'n' | 'size'>): Buffer {
  const key = createHash('sha256').update(`content of ${n}`).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

export const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
