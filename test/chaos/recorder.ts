// The recorder: a process of its own, so that whatever the harness does to itself and others, it keeps time.
// Started by recorder-process.ts with the seed as argument; answers what it is asked over IPC.
import { startOrigin } from './origin.ts'
import { startReceivers } from './receivers.ts'
import type { RecorderAnswer, RecorderQuestion, Seen } from './recorder-process.ts'
import { visitRecorder } from './visits.ts'

const seed = process.argv[2] ?? ''
const recorder = visitRecorder()
const origin = await startOrigin(seed, recorder)
const { urls: receivers, deliveries } = await startReceivers(seed, recorder)

function seen(): Seen {
  const lastMs: Record<string, number> = {}
  for (const { who, startMs } of recorder.visits) lastMs[who] = Math.max(lastMs[who] ?? 0, startMs)
  return { lastMs, calledBack: new Set(deliveries.filter(({ accepted }) => accepted).map(({ jobId }) => jobId)).size }
}

process.on('message', ({ id, ask }: RecorderQuestion) => {
  const answer: RecorderAnswer = { id }
  if (ask === 'seen') answer.seen = seen()
  if (ask === 'report') {
    const { visits, longestLagMs } = recorder
    answer.report = { visits, deliveries, longestLagMs: longestLagMs() }
  }
  process.send?.(answer)
})
process.on('disconnect', () => process.exit())
process.send?.({ id: 0, ready: { origin, receivers } } satisfies RecorderAnswer)
