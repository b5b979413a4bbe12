import { Worker } from 'node:worker_threads'

/** A thread that answers what it is asked, within limits of time and memory. */
export interface Confined<Answer> {
  /**
   * @param bytes are copied
   * @returns undefined when there was no answer within the limits
   */
  ask(bytes: Uint8Array): Promise<Answer | undefined>
  /** What is not answered yet gets no answer. */
  close(): Promise<void>
}

export interface ConfinedOptions {
  /** A module that answers each message on `parentPort` with one. */
  module: URL
  /** For one answer; the first time, the thread's start counts, too. */
  limitMs: number
  /** Of the thread's heap. */
  limitMb: number
  /** Told why a thread was stopped, once for each. */
  onStopped(reason: string): void
}

interface Question<Answer> {
  bytes: Uint8Array
  resolve(answer: Answer | undefined): void
}

/**
 * Confines code that reads hostile bytes and is not ours. The thread is made when it is first needed. It gets one
 * question at a time, so that it is known which one broke it; then it is terminated, and the next gets a new one.
 */
export function confined<Answer>({ module, limitMs, limitMb, onStopped }: ConfinedOptions): Confined<Answer> {
  const waiting: Question<Answer>[] = []
  let asked: Question<Answer> | undefined
  let thread: Worker | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function next(): void {
    asked = waiting.shift()
    if (!asked) return
    thread ??= open()
    thread.postMessage(asked.bytes)
    // In two halves: when all of this process was frozen, the second gives the thread time to go on.
    timer = setTimeout(() => {
      timer = setTimeout(() => stop(`it took longer than ${limitMs} ms`), limitMs / 2)
    }, limitMs / 2)
  }

  function open(): Worker {
    const opened = new Worker(module, {
      resourceLimits: { maxOldGenerationSizeMb: limitMb, maxYoungGenerationSizeMb: limitMb / 4 },
      execArgv: [],
    })
    opened.unref()
    opened.on('message', (answer: Answer) => {
      if (opened === thread) settle(answer)
    })
    opened.on('error', (error) => {
      if (opened === thread) stop(String(error))
    })
    opened.on('exit', () => {
      if (opened === thread) stop('it ended')
    })
    return opened
  }

  function stop(reason: string): void {
    const stopped = thread
    thread = undefined
    void stopped?.terminate()
    onStopped(reason)
    settle(undefined)
  }

  function settle(answer: Answer | undefined): void {
    clearTimeout(timer)
    asked?.resolve(answer)
    next()
  }

  return {
    ask(bytes) {
      if (closed) return Promise.resolve(undefined)
      return new Promise((resolve) => {
        waiting.push({ bytes: Uint8Array.from(bytes), resolve }) // a message takes all of the buffer that it is a part of
        if (!asked) next()
      })
    },
    async close() {
      closed = true
      clearTimeout(timer)
      const stopped = thread
      thread = undefined
      for (const { resolve } of asked ? [asked, ...waiting.splice(0)] : []) resolve(undefined)
      asked = undefined
      await stopped?.terminate()
    },
  }
}
