/** What the queue may do with the connection that fills it. */
export interface Source {
  /** Aborts the reader, too. */
  readonly signal: AbortSignal
  pause(): void
  resume(): void
  /** Ends the exchange with this error: whoever reads gets it, and the connection is closed. */
  fail(error: Error): void
}

/** The bytes of one response, between undici's parser, which pushes, and one reader, who pulls. */
export interface BodyQueue {
  push(chunk: Uint8Array): void
  end(): void
  /** What is queued is read first: a rest can be asked for. Whoever aborted reads no more, and learns at once. */
  fail(error: unknown): void
  readonly readable: ResponseBody
}

export interface ResponseBody extends AsyncIterable<Uint8Array> {
  /** Bytes that have come, as they travel. */
  readonly bytes: number
  /**
   * Lets go of what has not been read: a little is read off so that the connection can be used again; else it is closed.
   * Resolves when the origin has this request open no more.
   */
  discard(): Promise<void>
}

export interface Speed {
  /** 0 means none. */
  bytesPerS: number
  /** How long the reader waits, in all, before it is judged. */
  windowMs: number
}

export interface BodyQueueOptions {
  source: Source
  /** Longest time that the reader waits for a byte. */
  stallTimeoutMs: number
  stalled(): Error
  minSpeed: Speed
  tooSlow(bytesPerS: number): Error
  /** Bytes that the body will have, when its head said so. */
  length?: number | undefined
}

/** The connection is paused when more than this is queued: a slow disk must not fill the memory. */
const highWaterMark = 64 * 1024
/** A discarded body is read on for this much and this long: closing is dearer than a few packets. */
const discardBytes = 16 * 1024
const discardMs = 100

export function bodyQueue(options: BodyQueueOptions): BodyQueue {
  const { source, stallTimeoutMs, stalled, minSpeed, tooSlow, length } = options
  type Result = IteratorResult<Uint8Array, undefined>
  const chunks: Uint8Array[] = []
  const done: Result = { done: true, value: undefined }
  let queued = 0
  let bytes = 0
  const window = { bytes: 0, waitedMs: 0, waitsSince: 0 }
  let discarded: number | undefined // bytes since nobody wants them
  let outcome: { error?: unknown } | undefined
  let reader: { resolve(result: Result): void; reject(error: unknown): void } | undefined
  let timer: NodeJS.Timeout | undefined
  let ended = () => {}
  const end = new Promise<void>((resolve) => {
    ended = resolve
  })

  function next(): Promise<Result> {
    if (discarded === undefined && source.signal.aborted) return Promise.reject(source.signal.reason)
    const value = chunks.shift()
    if (value !== undefined) {
      queued -= value.length
      if (queued <= highWaterMark && outcome === undefined) source.resume()
      return Promise.resolve({ done: false, value })
    }
    if (discarded !== undefined) return Promise.resolve(done)
    if (outcome !== undefined) return 'error' in outcome ? Promise.reject(outcome.error) : Promise.resolve(done)
    return new Promise((resolve, reject) => {
      reader = { resolve, reject }
      // Counts only while somebody waits: time that the reader takes is not the origin's.
      window.waitsSince = performance.now()
      timer = timer?.refresh() ?? setTimeout(() => reader && source.fail(stalled()), stallTimeoutMs)
    })
  }

  function settle(result: { error?: unknown }): void {
    if (outcome !== undefined) return
    outcome = result
    clearTimeout(timer)
    const waiting = reader
    reader = undefined
    if ('error' in result) waiting?.reject(result.error)
    else waiting?.resolve(done)
    ended()
  }

  /** The reader waits no more. One that comes too slowly is given up after a window; what waits for ever has stalled. */
  function judgeSpeed(): void {
    window.waitedMs += performance.now() - window.waitsSince
    if (window.waitedMs < minSpeed.windowMs) return
    const bytesPerS = Math.floor((bytes - window.bytes) / (window.waitedMs / 1000))
    window.bytes = bytes
    window.waitedMs = 0
    if (bytesPerS < minSpeed.bytesPerS) source.fail(tooSlow(bytesPerS))
  }

  const giveUp = () => source.fail(new Error('nobody wants the rest of the body'))

  function discard(): Promise<void> {
    chunks.length = 0
    queued = 0
    if (outcome !== undefined || discarded !== undefined) return end
    discarded = 0
    reader?.resolve(done)
    reader = undefined
    clearTimeout(timer)
    if (length !== undefined && length > discardBytes) {
      giveUp()
    } else {
      timer = setTimeout(giveUp, discardMs)
      source.resume()
    }
    return end
  }

  return {
    push(chunk) {
      bytes += chunk.length
      if (discarded !== undefined) {
        discarded += chunk.length
        if (discarded > discardBytes) giveUp()
      } else if (reader !== undefined) {
        const { resolve } = reader
        reader = undefined
        resolve({ done: false, value: chunk })
        judgeSpeed()
      } else {
        chunks.push(chunk)
        queued += chunk.length
        if (queued > highWaterMark) source.pause()
      }
    },
    end: () => settle({}),
    fail: (error) => settle({ error }),
    readable: {
      get bytes() {
        return bytes
      },
      discard,
      [Symbol.asyncIterator]: () => ({
        next,
        async return() {
          await discard()
          return done
        },
      }),
    },
  }
}
