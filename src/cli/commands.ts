import type { Command } from './command.ts'

/** The commands for daily work, each read only when it is wanted. */
const commands: Record<string, () => Promise<Command>> = {
  enqueue: async () => (await import('./enqueue.ts')).enqueue,
  get: async () => (await import('./get.ts')).get,
  status: async () => (await import('./status.ts')).status,
  jobs: async () => (await import('./jobs.ts')).jobs,
  job: async () => (await import('./jobs.ts')).job,
  why: async () => (await import('./why.ts')).why,
  retry: async () => (await import('./retry.ts')).retry,
  cancel: async () => (await import('./cancel.ts')).cancel,
  delete: async () => (await import('./delete.ts')).deletion,
  aggregations: async () => (await import('./aggregations.ts')).aggregations,
  pause: async () => (await import('./aggregations.ts')).pause,
  resume: async () => (await import('./aggregations.ts')).resume,
  limit: async () => (await import('./aggregations.ts')).limit,
  tail: async () => (await import('./tail.ts')).tail,
  files: async () => (await import('./files.ts')).files,
  config: async () => (await import('./config.ts')).config,
}

/** How to read the command of that name, if it is one of these. */
export const commandOf = (name: string) => (Object.hasOwn(commands, name) ? commands[name] : undefined)

/** What `downloader --help` says of them. */
export const COMMANDS_HELP = `  downloader enqueue [FILE|-] [--wait]              enqueues URLs, or jobs as NDJSON
  downloader get URL [-o FILE]                      downloads one file, and brings it here
  downloader status | aggregations | jobs | job ID | why ID
                                                    what there is, and what it waits for
  downloader retry | cancel | delete                queues again what failed; takes back what is not wanted; deletes
                                                    files before their time, also by an access log
  downloader pause AGGR | resume AGGR | limit AGGR N
                                                    how fast an aggregation goes
  downloader tail                                   what happens to jobs, live
  downloader files [--delete]                       files that belong to no job
  downloader config check | print                   whether the configuration is right, and what it comes to

  These talk to the API at --api URL, with DOWNLOADER_TOKEN where it wants a token (files and config look at this
  machine's configuration instead); each has its --help.
`
