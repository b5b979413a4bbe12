import { type Figures, median } from './statistics.ts'

/** The figures of the parts of a scenario that were run in one round. */
export type Round = Record<string, Figures>

interface Target {
  scenario: string
  what: string
  /** Of one round, so that what is compared ran within minutes; NaN when a part that it needs was not run. */
  value(round: Round): number
  least?: number
  most?: number
}

const of = (part: string, figure: string) => (round: Round) => round[part]?.[figure] ?? Number.NaN
const ratio = (figure: string, part: string, other: string) => (round: Round) =>
  of(part, figure)(round) / of(other, figure)(round)

const CEILING = 1500

/** What we want to reach, and hold: ratios within a round wherever that says more than a figure. */
export const targets: readonly Target[] = [
  {
    scenario: 'throughput',
    what: 'jobs/s, of the ceiling',
    value: ratio('jobs_per_s', 'downloader', 'ceiling'),
    least: 0.6,
  },
  { scenario: 'throughput', what: 'jobs/s, of BullMQ', value: ratio('jobs_per_s', 'downloader', 'bullmq'), least: 1.5 },
  {
    scenario: 'throughput',
    what: 'jobs/s, if the ceiling were 1,500',
    value: (round) => CEILING * ratio('jobs_per_s', 'downloader', 'ceiling')(round),
    least: 900,
  },
  {
    scenario: 'throughput',
    what: 'CPU ms per job of API, processor and notifier',
    value: of('downloader', 'cpu_ms_per_job all roles'),
    most: 1,
  },
  {
    scenario: 'throughput',
    what: 'jobs/s with one aggregation, of fifty',
    value: ratio('jobs_per_s', 'one-aggregation', 'downloader'),
    least: 0.95,
  },
  {
    scenario: 'throughput',
    what: 'round trips to Redis per job',
    value: of('downloader', 'redis_round_trips_per_job'),
    most: 4,
  },
  { scenario: 'idle-latency', what: 'p50, ms', value: of('downloader', 'p50_ms'), most: 5 },
  { scenario: 'idle-latency', what: 'p99, ms', value: of('downloader', 'p99_ms'), most: 20 },
  { scenario: 'enqueue', what: 'POST/s of one API process', value: of('downloader', 'posts_per_s'), least: 5000 },
  { scenario: 'enqueue', what: 'CPU ms per POST', value: of('downloader', 'cpu_ms_per_post api'), most: 0.2 },
  { scenario: 'cap', what: 'used, %', value: of('downloader', 'used_percent'), least: 98 },
  { scenario: 'cap', what: 'most at once, of 10', value: of('downloader', 'most_at_once'), most: 10 },
  {
    scenario: 'scale',
    what: 'jobs/s of 2 processors, of one',
    value: ratio('jobs_per_s', 'scale-2', 'scale-1'),
    least: 1.9,
  },
  {
    scenario: 'scale',
    what: 'CPU per job of 2 processors, of one',
    value: ratio('cpu_ms_per_job all roles', 'scale-2', 'scale-1'),
    most: 1.1,
  },
  {
    scenario: 'backlog',
    what: 'bytes of Redis per job, 100k jobs',
    value: of('backlog-100k', 'redis_bytes_per_job'),
    most: 700,
  },
  {
    scenario: 'backlog',
    what: 'bytes of Redis per job, 1M jobs',
    value: of('backlog-1m', 'redis_bytes_per_job'),
    most: 700,
  },
  {
    scenario: 'backlog',
    what: 'drain rate at 1M, of 20k',
    value: ratio('drained_per_s', 'backlog-1m', 'backlog-20k'),
    least: 0.9,
  },
  {
    scenario: 'backlog',
    what: 'claim p99 at 1M, of 20k',
    value: ratio('claim_p99_ms', 'backlog-1m', 'backlog-20k'),
    most: 2,
  },
  { scenario: 'backlog', what: '`why` at 1M, p99 ms', value: of('backlog-1m', 'why_p99_ms'), most: 50 },
  {
    scenario: 'backlog',
    what: 'RSS of the processor at 1M, MB',
    value: of('backlog-1m', 'processor rss_peak_mb'),
    most: 200,
  },
  {
    scenario: 'backlog',
    what: 'open files of the processor at 1M, of its concurrency',
    value: of('backlog-1m', 'processor open_files_peak / concurrency'),
    most: 3,
  },
  {
    scenario: 'many-groups',
    what: 'wake-up of the group that is free, p50 ms',
    value: of('downloader', 'wake_p50_ms'),
    most: 10,
  },
  {
    scenario: 'many-groups',
    what: 'commands to Redis per s, of the idle process that sends most',
    value: of('downloader', 'idle calls_per_s most'),
    most: 2,
  },
  ...[5, 50, 500].flatMap((limit): Target[] => {
    const part = `limit-${limit}`
    const scenario = 'politeness'
    return [
      { scenario, what: `goodput, % of ${limit}/s`, value: of(part, 'goodput_percent'), least: 90 },
      { scenario, what: `refused of ${limit}/s, learned, %`, value: of(part, 'refused_percent learned'), most: 5 },
      { scenario, what: `failed of ${limit}/s`, value: of(part, 'failed'), most: 0 },
      {
        scenario,
        what: `healthy beside ${limit}/s, of alone`,
        value: ratio('healthy_per_s', part, 'healthy-alone'),
        least: 0.95,
      },
    ]
  }),
  {
    scenario: 'politeness',
    what: 'healthy beside 500/s, of beside 500/s that were told',
    value: ratio('healthy_per_s', 'limit-500', 'told-500'),
    least: 0.95,
  },
  {
    scenario: 'big',
    what: 'transfer: time of curl, of ours',
    value: ratio('transfer_s', 'curl', 'downloader'),
    least: 0.95,
  },
  {
    scenario: 'big',
    what: 'end to end, of curl and fsync',
    value: ratio('end_to_end_s', 'downloader', 'curl'),
    most: 1.15,
  },
  { scenario: 'big', what: 'RSS of the processor, MB', value: of('downloader', 'rss_peak_mb'), most: 120 },
  {
    scenario: 'big',
    what: 'growth of that in the second half, MB',
    value: of('downloader', 'rss_growth_mb'),
    most: 10,
  },
]

export interface Verdict {
  target: string
  wanted: string
  measured: number
  reached: 'yes' | 'NO'
}

/** The targets of a scenario, judged by the median of its rounds; those that were not measured are left out. */
export function judge(scenario: string, rounds: Round[]): Verdict[] {
  return targets.flatMap((target) => {
    const values = rounds.map(target.value).filter((value) => !Number.isNaN(value))
    if (target.scenario !== scenario || values.length === 0) return []
    const measured = median(values)
    const { least = -Infinity, most = Infinity } = target
    return [
      {
        target: target.what,
        wanted: target.least === undefined ? `≤ ${most}` : `≥ ${least}`,
        measured: Number(measured.toPrecision(3)),
        reached: measured >= least && measured <= most ? 'yes' : 'NO',
      },
    ]
  })
}
