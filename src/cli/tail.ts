import { ApiProblem, type GetEventsQuery, type JobEvent } from '#client'
import { pause } from '../deadline.ts'
import { printable } from '../printable.ts'
import { CommandError, command, noneOf } from './command.ts'

const AGAIN_MS = 1000
const MAX_TRIES = 60

export const tail = command({
  help: `Usage: downloader tail [--aggr ID] [--job ID] [--event NAME] [--json] [--api URL]

Shows what happens to jobs, as it happens, until Ctrl-C. When the API is restarted it listens again.

  --aggr ID      only while they are downloaded: callbacks are grouped by receiver
  --job ID       only of this job
  --event NAME   accepted, started, downloaded, failed, retrying, delivered, delivery_retrying, delivery_failed, retried,
                 cancelled, deleted, handed_back
  --json         a JSON object on each line
`,
  options: { aggr: { type: 'string' }, job: { type: 'string' }, event: { type: 'string' } },
  async run({ aggr, job, event }, args, { client, json, print, note, signal }) {
    noneOf(args)
    const query = { aggr_id: aggr, job_id: job, event: event as GetEventsQuery['event'] }
    let hasListened = false
    for (let tries = 0; tries < MAX_TRIES && !signal.aborted; tries++) {
      try {
        for await (const live of client.events(query, signal)) {
          if (live.kind === 'listening') {
            if (!json) note(hasListened ? 'listening again: something may have been missed' : 'listening')
            hasListened = true
            tries = 0
          } else if (live.kind === 'dropped') note(`${live.count} events were dropped: this terminal is too slow`)
          else print(json ? JSON.stringify(live.job) : line(live.job))
        }
      } catch (error) {
        if (signal.aborted) return true
        if (!hasListened || (error instanceof ApiProblem && error.status < 500)) throw error
      }
      await pause(AGAIN_MS, signal)
    }
    if (signal.aborted) return true
    throw new CommandError('the API did not come back within a minute')
  },
})

const line = ({ at, id, event, room, group, code }: JobEvent) =>
  printable(`${at}  ${id}  ${event.padEnd(17)}  ${[code, room && `${room} ${group}`].filter(Boolean).join('  ')}`)
