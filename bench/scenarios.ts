import type { Context } from './load.ts'
import { backlog } from './scenarios/backlog.ts'
import { big, bigByCurl } from './scenarios/big.ts'
import { cap } from './scenarios/cap.ts'
import { enqueue, enqueueToBullmq } from './scenarios/enqueue.ts'
import { idleLatency, idleLatencyOfBullmq } from './scenarios/idle-latency.ts'
import { manyGroups } from './scenarios/many-groups.ts'
import { politeness } from './scenarios/politeness.ts'
import { scale } from './scenarios/scale.ts'
import { bullmq, ceiling, oneAggregation, throughput } from './scenarios/throughput.ts'
import type { Figures } from './statistics.ts'

/** What is compared with each other: every round runs each part once, one after the other. */
export interface Scenario {
  about: string
  parts: Record<string, (context: Context) => Promise<Figures>>
  /** Parts that take too long to be run in every round: only in the first. */
  once?: string[]
}

export const scenarios: Record<string, Scenario> = {
  throughput: {
    about: '5,000 jobs of 10 KiB, from the first POST to the last callback',
    parts: {
      downloader: (context) => throughput(context),
      bullmq,
      ceiling,
      'one-aggregation': oneAggregation,
    },
  },
  'idle-latency': {
    about: 'one job at a time on an idle system, from the POST to the callback',
    parts: { downloader: idleLatency, bullmq: idleLatencyOfBullmq },
  },
  enqueue: {
    about: '20,000 POSTs while no worker runs',
    parts: { downloader: enqueue, bullmq: enqueueToBullmq },
  },
  cap: {
    about: '3 processors on one aggregation of limit 10, whose origin takes 100 ms: how much of the limit is used',
    parts: { downloader: cap },
  },
  scale: {
    about: '1, 2 and 4 processors of concurrency 16 on one aggregation whose origin takes 50 ms',
    parts: {
      'scale-1': (context) => scale(context, 1),
      'scale-2': (context) => scale(context, 2),
      'scale-4': (context) => scale(context, 4),
    },
  },
  backlog: {
    about: 'up to a million jobs wait in 10,000 aggregations: memory of Redis, claims, the first 20,000 drained',
    parts: {
      'backlog-20k-in-50': (context) => backlog(context, 20_000, 50),
      'backlog-20k': (context) => backlog(context, 20_000, 10_000),
      'backlog-100k': (context) => backlog(context, 100_000, 10_000),
      'backlog-1m': (context) => backlog(context, 1_000_000, 10_000),
    },
    once: ['backlog-1m'],
  },
  'many-groups': {
    about: '10,000 aggregations, all full but one: how soon that one wakes up, what idle processes ask of Redis',
    parts: { downloader: manyGroups },
  },
  politeness: {
    about: 'origins that refuse more than 5, 50 or 500 requests a second, a healthy one beside them; two minutes each',
    parts: {
      'healthy-alone': (context) => politeness(context, 0),
      'limit-5': (context) => politeness(context, 5),
      'limit-50': (context) => politeness(context, 50),
      'limit-500': (context) => politeness(context, 500),
      'told-500': (context) => politeness(context, 500, true),
    },
  },
  big: {
    about: 'one file of 1 GiB, by curl and as a job',
    parts: { curl: bigByCurl, downloader: big },
  },
}

/** Parts of a scenario that are to be run. */
export interface Selected {
  name: string
  scenario: Scenario
  parts: string[]
}

/**
 * @param words scenarios, `scenario/part`, parts of whatever scenario, or `all`
 * @throws for a name that there is not
 */
export function select(words: string[]): Selected[] {
  const parts = new Map<string, Set<string>>()
  for (const word of words) {
    for (const [name, part] of matching(word)) parts.set(name, (parts.get(name) ?? new Set()).add(part))
  }
  return Object.entries(scenarios).flatMap(([name, scenario]) => {
    const chosen = parts.get(name)
    return chosen ? [{ name, scenario, parts: Object.keys(scenario.parts).filter((part) => chosen.has(part)) }] : []
  })
}

function matching(word: string): [scenario: string, part: string][] {
  const all = Object.entries(scenarios).flatMap(([name, { parts }]) =>
    Object.keys(parts).map((part): [string, string] => [name, part]),
  )
  if (word === 'all') return all
  const matches = all.filter(([name, part]) => word === name || word === part || word === `${name}/${part}`)
  if (matches.length === 0) throw new Error(`there is no scenario ${word}`)
  return matches
}
