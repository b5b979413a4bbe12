import { execFileSync } from 'node:child_process'
import { GROUPS } from './client.ts'
import { RECOVERY_MS, type Row } from './play.ts'
import { LEASE_MS } from './world.ts'

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((all, count) => all + count, 0)

/** The rows as a Markdown table. */
export function tableOf(rows: readonly Row[]): string {
  const groups = Object.keys(GROUPS)
  const limits = groups.map((group) => GROUPS[group]).join('/')
  const head = [
    'scenario',
    'faults',
    'accepted',
    'lost',
    'delivered twice (may be)',
    `concurrency (limits ${limits})`,
    'with frozen',
    'partial files',
    'temporary files',
    'recovered after',
    'promises',
  ]
  const lines = rows.map((row) => {
    const reached = (counts: Record<string, number>) => groups.map((group) => counts[group] ?? 0).join('/')
    return [
      row.scenario,
      sum(row.faults),
      row.accepted,
      row.lost,
      `${row.twice} (${row.mayBeTwice})`,
      reached(row.concurrency),
      reached(row.withFrozen),
      row.partialFiles,
      row.temporaryFiles,
      `${(row.recoveryMs / 1000).toFixed(1)} s`,
      row.broken.length === 0 ? 'kept' : `**${row.broken.length} broken**`,
    ]
  })
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** docs/fault-report.md */
export function reportOf(rows: readonly Row[], { minutes, seed }: { minutes: number; seed: number }): string {
  const redis = /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1]
  const faults = rows.map(({ scenario, faults }) => {
    const list = Object.entries(faults).map(([name, count]) => `${count} × ${name}`)
    return `- ${scenario}: ${list.join(', ')}`
  })
  return `# Fault report

What becomes of jobs and limits while things break, as it is seen from outside. This page is written by

\`\`\`sh
npm run chaos -- --minutes ${minutes} --seed ${seed} --report docs/fault-report.md
\`\`\`

which runs the built service (an API, three processors, two notifiers; leases of ${LEASE_MS / 1000} s) against a real Redis, under a load of
40 jobs a second, and breaks one thing after the other. The seed decides what and when. Node ${process.version}, Redis ${redis}.
A short run of the same is part of \`npm test\`.

## The account

${tableOf(rows)}

Faults that were injected:

${faults.join('\n')}

## How to read it

- **The recorder is outside.** An origin and receivers in a process of their own write down every request, when it began and when
  it ended, and every callback. The client writes down every id that it was given with a 201.
- The origin itself gives trouble all the time: in four of ten jobs it answers slowly, resets, stalls, cuts the body, answers 500 or 429,
  once or twice. One receiver in five hangs until all is healed, one in five refuses twice.
- At the end all is mended, the service works until nothing is left, and the books are balanced; \`downloader check\` must find nothing.
- **accepted**: answered with 201, or without an answer but carried out.
- **lost**: accepted, and never called back. 0 for everything that happens to our processes, to the network, and to a Redis with
  \`appendfsync always\`, or with \`wait_replicas\`. Otherwise only what was accepted within the last moment before a fault:
  2 s with \`everysec\`, 1 s of replication.
- **delivered twice**: callbacks beyond the first of a job. At most as many as were claimed by notifiers when a fault came.
- **concurrency**: most requests that an aggregation had open at the origin at once, beside its limit. Never more.
- **with frozen**: the same with requests of a process that was frozen (SIGSTOP) beyond its lease. It cannot close them, and others have its
  jobs by then: no lease can hold this. The bound is what it had open when it froze; once it goes on it closes them at once.
- **partial files**: files under the root that are not byte for byte what the origin served.
- **temporary files**: left in \`storage_dir\` after all, once a processor has started.
- **recovered after**: from the end of the last fault until a new job was called back and every processor works again; promised is a
  lease + 5 s (${RECOVERY_MS / 1000} s here).

## What was done, and what was not

- Clocks: one more processor and one more notifier run with a wall clock that jumps by hours, four times a second (their \`Date\`, not the
  machine's clock, which all share here). Leases and times are Redis's, deadlines those of the monotonic clock.
- Disk: the root and \`storage_dir\` are a tmpfs of 96 MiB, filled to the last byte.
- File descriptors: one more processor with 44 to 64 of them.
- Not done: a Redis whose clock jumps (all times are Redis's: a jump of an hour lets leases run out an hour early); a slot that is moved in a
  Cluster while processes run (stop them first: [operations](operations.md#redis)); power cuts.
`
}
