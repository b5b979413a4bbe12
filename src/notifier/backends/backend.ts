import type { Callback } from '../../jobs/callback.ts'

/** One way to deliver callbacks. Every implementation passes `test/conformance/backend.ts`. */
export interface Backend {
  /**
   * Delivers one callback to the job's `callback_dst`; resolves once the receiver has accepted it.
   *
   * @param traceparent of the trace that this delivery belongs to, for the receiver
   * @throws {JobError} `receiver.*`: retriable when the receiver may accept it later, permanent when it never will
   * @throws the signal's reason, when it aborts: a stop of ours is no failed attempt
   */
  deliver(destination: string, callback: Callback, signal: AbortSignal, traceparent?: string): Promise<void>
  /**
   * Resolves when what this backend depends on, whatever the receiver, answers now. Absent where that is nothing.
   *
   * @throws {JobError} that says what is wrong, without secrets
   */
  probe?(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
