import { execFileSync } from 'node:child_process'
import os from 'node:os'
import type { Peak } from './concurrency.ts'
import type { Fault, Injected } from './faults/fault.ts'
import type { Outcome } from './scenario.ts'
import {
  AGGREGATIONS,
  DRAIN_MS,
  FAILOVER_MS,
  LEASE_MS,
  RATE,
  RECEIVER_LIMIT,
  RECOVERY_MS,
  RELEASE_MS,
} from './settings.ts'

const COLUMNS = [
  'scenario',
  'faults',
  'accepted',
  'unknown',
  'lost',
  'twice',
  'open at once, by limit',
  'callbacks at once',
  'partial',
  'temporary',
  'recovery',
  'kept',
]

/** The table, one row a scenario, in Markdown. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const rows = [COLUMNS, ...outcomes.map(rowOf)]
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const rule = line(widths.map((width) => '-'.repeat(width)))
  const [head = [], ...body] = rows
  return [line(head), rule, ...body.map(line)].join('\n')
}

function rowOf({ scenario, injected, account }: Outcome): string[] {
  const { accepted, unknown, lost, mayBeLost, twice, inFlight, peaks, partial, temporary, recoveryMs, broken } = account
  const own = peaks.filter(({ group }) => group in AGGREGATIONS)
  const receivers = peaks.filter(({ group }) => !(group in AGGREGATIONS))
  return [
    scenario.name,
    String(injected.length),
    String(accepted),
    unknown[0] === 0 ? '0' : `${unknown[0]} (${unknown[1]} accepted)`,
    mayBeLost === 0 ? String(lost) : `${lost} of ${mayBeLost}`,
    inFlight === 0 ? String(twice) : `${twice} of ${inFlight}`,
    peaksText(own),
    peaksText(receivers),
    String(partial),
    String(temporary),
    recoveryMs === undefined ? '' : `${(recoveryMs / 1000).toFixed(1)} s`,
    broken.length === 0 ? 'yes' : `NO: ${broken.length}`,
  ]
}

/** `3/4`: three of four; `4+2/4`: two more that no lease can hold. */
const peaksText = (peaks: readonly Peak[]): string => {
  const beside = ({ highest, counted, limit }: Peak) =>
    highest > Math.max(counted, limit) ? `+${highest - counted}` : ''
  return peaks.map((peak) => `${peak.counted}${beside(peak)}/${peak.limit}`).join(' ')
}

/** What else is to be said of an outcome: broken promises, and what was logged. */
export function evidenceOf({ account, logged, injected, lagMs }: Outcome): string[] {
  const { accepted, lost, twice, broken } = account
  return [
    `${accepted} accepted, ${lost} lost, ${twice} called back twice, ${injected.length} faults (${countsOf(injected)}), the recorder lagged ${Math.round(lagMs)} ms at most`,
    `attempts that failed: ${listOf(logged.codes)}`,
    ...[...logged.errors].map(([message, count]) => `logged ${count} times: ${message}`),
    ...broken.map((text) => `BROKEN: ${text}`),
  ]
}

function countsOf(injected: readonly Injected[]): string {
  const counts = new Map<string, number>()
  for (const { fault } of injected) counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1)
  return listOf(counts)
}

const listOf = (counts: Map<string, number>) => [...counts].map(([name, count]) => `${name} ${count}`).join(', ')

export interface Report {
  /** What repeats it. */
  command: string
  outcomes: readonly Outcome[]
  /** Scenario → why this machine could not run it. */
  impossible: ReadonlyMap<string, string>
}

/** The whole document, in Markdown. */
export function document({ command, outcomes, impossible }: Report): string {
  const faults = new Map<string, Fault>()
  const counts = new Map<string, number>()
  for (const { fault } of outcomes.flatMap(({ injected }) => injected)) {
    faults.set(fault.name, fault)
    counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1)
  }
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((all, outcome) => all + of(outcome), 0)
  const broken = outcomes.flatMap(({ account }) => account.broken)
  const { version } = process
  const redis = /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1]
  const aggregations = Object.entries(AGGREGATIONS).map(([name, limit]) => `\`${name}\` ${limit}`)
  return `# Fault report

What becomes of jobs while things break: ${sum(({ account }) => account.accepted)} jobs, ${sum(({ injected }) => injected.length)} faults, ${broken.length} promises broken.
Written by

\`\`\`sh
${command} --report docs/fault-report.md
\`\`\`

on ${os.cpus().length} cores of ${os.cpus()[0]?.model}, Node ${version}, Redis ${redis}. The seed decides every job, every answer of origin and receivers,
and every fault: what, when, to whom, for how long. What the processes do in between is up to them and the machine.

${tableOf(outcomes)}

${[...impossible].map(([name, why]) => `\`${name}\` could not be run here: ${why}\n\n`).join('')}## What is tested

The built service (\`dist/main.js\`): two APIs, three processors, two notifiers, files on a filesystem, one Redis (append-only file,
\`appendfsync always\`, unless the scenario says otherwise). Leases last ${LEASE_MS / 1000} s, and a client posts ${RATE} jobs a second for aggregations with the
limits ${aggregations.join(', ')}. A receiver takes ${RECEIVER_LIMIT} callbacks at once.

Everything that judges is outside:

- **The origin** is in a process of its own. It knows each processor by a header, and stamps by the monotonic clock when a request was open: from
  when its head was read to right before the last byte of the answer was sent. Where the other side hangs up, the stamp is the last moment at which that
  had surely not happened, so a recorder that is held up sees too little, never too much. Of the first requests 15 % are answered with a reset, half a
  body, a body that stalls, 429, 500 or 503; 2 % of the jobs end with 404; some bodies come in pieces, 2 % for longer than a lease. No byte of a body repeats, so a file tells
  whether it is whole and whose it is.
- **The receivers** know each notifier by its signature. \`good\` refuses some callbacks, \`moody\` also hangs, \`dead\` (1 %) never answers.
- **The client** notes each id that it was given. Whoever gets no 201 posts no second time.
- At the end everything is healed, work is drained (within ${DRAIN_MS / 1000} s), all processes get SIGTERM and must exit with 0, one processor starts and
  sweeps. Then accounts are settled: client, origin, receivers, Redis, the folders. The books are checked by \`downloader check\` and recounted
  by [queue-invariants.ts](../test/support/queue-invariants.ts).

## What was done

| fault | times | |
| --- | --- | --- |
${[...faults.values()].map(({ name, about }) => `| ${name} | ${counts.get(name)} | ${about} |`).join('\n')}

| scenario | faults | |
| --- | --- | --- |
${outcomes.map(({ scenario, injected }) => `| ${scenario.name} | ${countsOf(injected)} | ${scenario.about} |`).join('\n')}

## The columns

| column | |
| --- | --- |
| accepted | jobs with a 201, and those without that Redis or a receiver knows of all the same |
| unknown | POSTs without a 201: the API was away, or answered 503 because Redis did not answer in time. Such a job may have been accepted; nobody was told so |
| lost | accepted, not called back, and nowhere in Redis. Must be 0. Where Redis may forget (\`everysec\`, failover without \`wait_replicas\`): \`lost of all that were accepted in the window\`, see below |
| twice | callbacks that a receiver accepted again. \`2 of 9\`: nine were in flight at a fault that can repeat them (begun before it, and not settled in Redis when it came). One more, or one that no fault explains, breaks a promise |
| open at once, by limit | most requests open at once in each aggregation / its limit. \`8+1/8\`: one more was held by a process frozen past its lease |
| callbacks at once | the same at each receiver |
| partial | files under the root that are not, byte for byte, what the origin serves for that job |
| temporary | temporary files that are left after a processor has started |
| recovery | the longest from the end of a fault until each process that it had stopped was seen to work (a request, a callback, a 201). Starting Node, and what is left of a dead one's lease, is part of it. At most a lease and 5 s: ${RECOVERY_MS / 1000} s |
| kept | \`yes\`: all of this, and no process ended by itself, each callback tells of the outcome and content that the origin gave, no job is left undone, files of delivered jobs are there (or deleted, where they are to be) |

## The bounds

- **A frozen process.** A process that is stopped (SIGSTOP, a paused VM) keeps its connections; its leases run out, and others run its
  jobs. No lease can hold that. So an aggregation may have as many requests more as the frozen process had open when it froze,
  and no longer than until ${RELEASE_MS / 1000} s after it goes on: it looks at its own clock first, and lets go. That is asserted: requests of the frozen process are left
  out of the count only from half a lease after it froze.
- **Redis forgets.** With \`everysec\` a host that loses power loses the last second. \`power-cut\` really does that: it cuts off what was appended in the last
  second. What was accepted then may be lost, and what happened then may happen again. The limits hold all the same.
  SIGKILL of Redis alone loses nothing, since the system has what was written.
- **Failover.** What no replica had when its master died is lost. Jobs that were accepted within ${FAILOVER_MS / 1000} s of a change of master may be lost and are counted; with
  \`wait_replicas\` none may.

## What was not done

- Clocks: \`clock-jump\` shifts \`Date\` in the processes, not the clock of the machine, which all of them and Redis share. Leases and due times are read
  off Redis's clock; that clock itself was not moved.
- Power cuts of hosts that store files: a file is synced before it is called back (its own tests), but nothing here forgets what was not synced.
- Moving a slot of a Cluster while processes run: not supported, see [operations](operations.md#redis).
- S3, Kafka and SQS: one kind of storage and of receiver.
`
}
