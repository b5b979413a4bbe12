import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import type { Delivery } from './receivers.ts'
import type { ReceiverName } from './settings.ts'
import type { Visit } from './visits.ts'

export interface RecorderQuestion {
  id: number
  ask: 'seen' | 'report'
}

export interface RecorderAnswer {
  id: number
  ready?: { origin: string; receivers: Record<ReceiverName, string> }
  seen?: Seen
  report?: Recording
}

export interface Seen {
  /** Process → when its last request began. */
  lastMs: Record<string, number>
  /** Jobs with a callback that was accepted. */
  calledBack: number
}

export interface Recording {
  /** At the origin and at the receivers, in the order of their beginnings. */
  visits: Visit[]
  /** `visit` is a copy of one of `visits`. */
  deliveries: Delivery[]
  /** How long the recorder's event loop was held up at most. */
  longestLagMs: number
}

export interface Recorder extends AsyncDisposable {
  originUrl: string
  receiverUrls: Record<ReceiverName, string>
  seen(): Promise<Seen>
  report(): Promise<Recording>
}

const ANSWER_MS = 20_000

/** Starts a recorder; it ends with us, however we end. */
export async function startRecorder(seed: string): Promise<Recorder> {
  const child = fork(path.join(import.meta.dirname, 'recorder.ts'), [seed], {
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  })
  const ended = once(child, 'exit')
  const waiting = new Map<number, (answer: RecorderAnswer) => void>()
  child.on('message', (answer: RecorderAnswer) => {
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  const answerTo = (id: number) =>
    new Promise<RecorderAnswer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the recorder does not answer')), ANSWER_MS)
      waiting.set(id, (answer) => {
        clearTimeout(timer)
        resolve(answer)
      })
    })
  let asked = 0
  async function ask(what: RecorderQuestion['ask']): Promise<RecorderAnswer> {
    const id = ++asked
    const answer = answerTo(id)
    child.send({ id, ask: what } satisfies RecorderQuestion)
    return answer
  }

  const { ready } = await answerTo(0)
  if (!ready) throw new Error('the recorder did not say where it listens')
  return {
    originUrl: ready.origin,
    receiverUrls: ready.receivers,
    async seen() {
      return (await ask('seen')).seen ?? { lastMs: {}, calledBack: 0 }
    },
    async report() {
      const { report } = await ask('report')
      if (!report) throw new Error('the recorder gave no report')
      return report
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
