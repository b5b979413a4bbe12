type Figures = Record<string, number>
/** The medians of each scenario that was run. */
export type Medians = Record<string, Figures>

interface Target {
  what: string
  /** Undefined when a scenario that it needs was not run. */
  value(medians: Medians): number | undefined
  least?: number
  most?: number
}

const of = (scenario: string, figure: string) => (medians: Medians) => medians[scenario]?.[figure]
const ratio = (a: (m: Medians) => number | undefined, b: (m: Medians) => number | undefined) => (medians: Medians) => {
  const [over, under] = [a(medians), b(medians)]
  return over === undefined || under === undefined ? undefined : over / under
}

const rate = of('throughput', 'jobs_per_s')

/** What we want to reach, and hold; as ratios of one run wherever that says more. */
export const targets: readonly Target[] = [
  { what: 'throughput: of the ceiling', value: ratio(rate, of('ceiling', 'jobs_per_s')), least: 0.6 },
  { what: 'throughput: of BullMQ', value: ratio(rate, of('bullmq', 'jobs_per_s')), least: 1.5 },
  { what: 'throughput: jobs/s', value: rate, least: 900 },
  { what: 'throughput: CPU ms per job', value: of('throughput', 'cpu_ms_per_job'), most: 1 },
  { what: 'one aggregation: of fifty', value: ratio(of('one-aggregation', 'jobs_per_s'), rate), least: 0.95 },
  { what: 'Redis: round trips per job', value: of('throughput', 'redis_round_trips_per_job'), most: 4 },
  { what: 'idle latency: p50 ms', value: of('idle-latency', 'p50_ms'), most: 5 },
  { what: 'idle latency: p99 ms', value: of('idle-latency', 'p99_ms'), most: 20 },
  { what: 'enqueue: POST/s', value: of('enqueue', 'posts_per_s'), least: 5000 },
  { what: 'enqueue: CPU ms per POST', value: of('enqueue', 'cpu_ms_per_post api'), most: 0.2 },
  { what: 'cap: used %', value: of('cap', 'used_percent'), least: 98 },
  { what: 'cap: most at once of 10', value: of('cap', 'most_at_once'), most: 10 },
  { what: 'backlog: bytes of Redis per job', value: of('backlog-100k', 'bytes_per_job'), most: 700 },
  {
    what: 'backlog of 1M: drain of the small case',
    value: ratio(of('backlog-1m', 'drained_per_s'), of('backlog-20k', 'drained_per_s')),
    least: 0.9,
  },
  {
    what: 'backlog of 1M: claim p99 of the small case',
    value: ratio(of('backlog-1m', 'claim_p99_ms'), of('backlog-20k', 'claim_p99_ms')),
    most: 2,
  },
  { what: 'backlog of 1M: RSS of the processor, MB', value: of('backlog-1m', 'processor_rss_mb'), most: 200 },
  { what: 'big: transfer of curl', value: of('big', 'transfer_of_curl'), least: 0.95 },
  { what: 'big: end to end of curl and fsync', value: of('big', 'end_to_end_of_curl_and_fsync'), most: 1.15 },
  { what: 'big: RSS of the processor, MB', value: of('big', 'rss_mb'), most: 120 },
  { what: 'many groups: wake-up p50 ms', value: of('many-groups', 'wake_p50_ms'), most: 10 },
  {
    what: 'many groups: idle Redis commands/s per process',
    value: of('many-groups', 'idle_commands_per_s_and_process'),
    most: 2,
  },
  { what: 'scale: two of one', value: ratio(of('scale-2', 'jobs_per_s'), of('scale-1', 'jobs_per_s')), least: 1.9 },
  {
    what: 'scale: CPU per job, two of one',
    value: ratio(of('scale-2', 'cpu_ms_per_job'), of('scale-1', 'cpu_ms_per_job')),
    most: 1.1,
  },
]

/** A row for each target that the scenarios of this run speak of. */
export function judged(medians: Medians): { target: string; wanted: string; measured: number; reached: string }[] {
  return targets.flatMap(({ what, value, least, most }) => {
    const measured = value(medians)
    if (measured === undefined) return []
    const reached = (least === undefined || measured >= least) && (most === undefined || measured <= most)
    const wanted = least === undefined ? `≤ ${most}` : `≥ ${least}`
    return [{ target: what, wanted, measured: Number(measured.toPrecision(3)), reached: reached ? 'yes' : 'NO' }]
  })
}
