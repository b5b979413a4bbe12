import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { allProcesses, kindOf } from '../fleet.ts'
import { APIS, LEASE_MS, NOTIFIERS, PROCESSORS } from '../settings.ts'
import { type Fault, itself } from './fault.ts'

const notifier = (target: string) => kindOf(target) === 'notifier'
const never = () => false
const run = promisify(execFile)

/** SIGKILL, and a new process a while later. */
const killing = (name: string, what: string, targets: readonly string[]): Fault => ({
  name,
  about: `SIGKILL of ${what}; started again a while later`,
  targets,
  forMs: [200, 2000],
  restMs: 2000,
  begin: ({ fleet }, target) => fleet.end(target, 'SIGKILL'),
  end: ({ fleet }, target) => fleet.start(target),
  stops: itself,
  repeats: notifier,
  stopsAtOnce: true,
})

export const killProcessor = killing('kill-processor', 'a processor', PROCESSORS)
export const killNotifier = killing('kill-notifier', 'a notifier', NOTIFIERS)
export const killApi = killing('kill-api', 'an API', APIS)

const freezing = (name: string, what: string, targets: readonly string[]): Fault => ({
  name,
  about: `SIGSTOP of ${what} for longer than its leases, then SIGCONT`,
  targets,
  forMs: [LEASE_MS + 500, LEASE_MS + 2500],
  restMs: 1500,
  begin: async ({ fleet }, target) => fleet.signal(target, 'SIGSTOP'),
  end: async ({ fleet }, target) => fleet.signal(target, 'SIGCONT'),
  stops: itself,
  repeats: notifier,
  stopsAtOnce: true,
  freezes: true,
})

export const freezeProcessor = freezing('freeze-processor', 'a processor', PROCESSORS)
export const freezeNotifier = freezing('freeze-notifier', 'a notifier', NOTIFIERS)

export const terminate: Fault = {
  name: 'terminate',
  about: 'SIGTERM of any process, which must exit with 0; started again a while later',
  targets: allProcesses,
  forMs: [100, 500],
  takesMs: 3000,
  restMs: 1000,
  begin: ({ fleet }, target) => fleet.end(target, 'SIGTERM'),
  end: ({ fleet }, target) => fleet.start(target),
  stops: itself,
  repeats: never,
}

/** As in RLIMIT_NOFILE, soft; what a process is usually started with. */
const USUAL_FILES = 1024

/** So many more than are open: it must close some first, or gets halfway. */
const SPARE_FILES = [-8, 2] as const

export const fewFiles: Fault = {
  name: 'few-files',
  about: 'a process runs out of file descriptors (prlimit --nofile)',
  targets: allProcesses,
  forMs: [1000, 3000],
  restMs: 1500,
  async begin({ fleet }, target, random) {
    const pid = fleet.pid(target)
    const open = (await readdir(path.join('/proc', String(pid), 'fd'))).length
    await limitFiles(pid, open + random.between(...SPARE_FILES))
  },
  end: ({ fleet }, target) => limitFiles(fleet.pid(target), USUAL_FILES),
  stops: itself,
  repeats: never,
}

async function limitFiles(pid: number, files: number): Promise<void> {
  await run('prlimit', ['--pid', String(pid), `--nofile=${files}:`])
}

/** Where clock-jump.mjs finds by how much the clock is off, after the first signal, the second, … */
export const CLOCK_JUMPS = { CHAOS_CLOCK_JUMPS: '10800000,-86400000,0,3600000,-3600000' }

export const clockJump: Fault = {
  name: 'clock-jump',
  about: 'the clock of a process (`Date`) jumps by hours, forth and back',
  targets: allProcesses,
  forMs: [500, 1500],
  restMs: 500,
  begin: async ({ fleet }, target) => fleet.signal(target, 'SIGUSR2'),
  end: async ({ fleet }, target) => fleet.signal(target, 'SIGUSR2'),
  stops: itself,
  repeats: never,
}
