import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Callback } from '../../src/jobs/callback.ts'
import { JobError } from '../../src/jobs/errors.ts'
import { newJobId } from '../../src/jobs/job.ts'
import type { Backend } from '../../src/notifier/backends/backend.ts'
import { eventually } from '../support/eventually.ts'

/** A backend with a real peer behind a socket. */
export interface BackendHarness extends AsyncDisposable {
  backend: Backend
  /** Where callbacks are accepted. */
  destination: string
  /** What has arrived there, once it is at least `count`. @throws when that takes too long */
  arrived(count: number): Promise<Callback[]>
  /** Makes a receiver that refuses now and may accept later. */
  troubled(): Promise<string>
  /** Makes a receiver that will never accept. */
  hopeless(): Promise<string>
  /** Makes a receiver that takes the message and does not answer. */
  silent(): Promise<string>
  /** From now on nobody listens at the address of the peer. */
  goAway(): Promise<void>
  /** The peer listens again, at the same address. */
  comeBack(): Promise<void>
}

/** A callback with something in every field. */
export function newCallback(change: Partial<Callback> = {}): Callback {
  const id = newJobId()
  return {
    success: true,
    error: '',
    extra: `{"text":"ümläut \\n \u{1f600} \u0000 \uffff ${randomUUID()}"}`,
    resource_url: 'http://origin.test/Ä b?c=%20&d="e"',
    download_url: `http://files.test/foo/${id.slice(0, 3)}/${id}`,
    job_id: id,
    response_code: 200,
    image_size: '640x480',
    delivered: true,
    delivery_error: '',
    error_code: '',
    size: 12_345,
    sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    mime_type: 'image/png',
    final_url: 'http://cdn.test/%C3%84',
    redirects: 1,
    timings: { dns: 1, connect: 2, tls: 0, first_byte: 40, total: 57 },
    ...change,
  }
}

/** A signal that never aborts. */
export const forever = (): AbortSignal => new AbortController().signal

/** Everything that any backend must do. */
export function backendConformance(name: string, start: () => Promise<BackendHarness>): void {
  describe(`backend: ${name}`, () => {
    it('delivers every field of a callback as it was given', async () => {
      await using harness = await start()
      const callback = newCallback()
      await harness.backend.deliver(harness.destination, callback, forever())
      assert.deepEqual(await harness.arrived(1), [callback])
    })

    it('delivers fifty callbacks at once, each exactly once', async () => {
      await using harness = await start()
      const callbacks = Array.from({ length: 50 }, () => newCallback())
      await Promise.all(callbacks.map((callback) => harness.backend.deliver(harness.destination, callback, forever())))
      const byId = (a: Callback, b: Callback) => (a.job_id < b.job_id ? -1 : 1)
      assert.deepEqual((await harness.arrived(50)).sort(byId), callbacks.sort(byId))
    })

    it('says that a receiver in trouble may be tried again', async () => {
      await using harness = await start()
      const failure = await failureOf(harness.backend.deliver(await harness.troubled(), newCallback(), forever()))
      assert.equal(failure.retriable, true)
    })

    it('says that a receiver which will never accept must not be tried again', async () => {
      await using harness = await start()
      const failure = await failureOf(harness.backend.deliver(await harness.hopeless(), newCallback(), forever()))
      assert.equal(failure.code, 'receiver.refused')
      assert.equal(failure.retriable, false)
    })

    it('says that text which is no destination must not be tried again', async () => {
      await using harness = await start()
      for (const destination of ['', ' ', 'not a destination', '://']) {
        const failure = await failureOf(harness.backend.deliver(destination, newCallback(), forever()))
        assert.equal(failure.code, 'receiver.refused', destination)
        assert.equal(failure.retriable, false, destination)
      }
    })

    it('throws the reason of a stop of ours at once, while the receiver is silent', async () => {
      await using harness = await start()
      const destination = await harness.silent()
      const stop = new AbortController()
      const reason = new Error('stop')
      const delivery = harness.backend.deliver(destination, newCallback(), stop.signal)
      const outcome = Promise.allSettled([delivery])
      setTimeout(() => stop.abort(reason), 50)
      const [{ status }] = await outcome
      assert.equal(status, 'rejected')
      await assert.rejects(delivery, (error) => error === reason)
    }).timeout(5000)

    it('sends nothing when it was stopped before', async () => {
      await using harness = await start()
      const reason = new Error('stop')
      const delivery = harness.backend.deliver(harness.destination, newCallback(), AbortSignal.abort(reason))
      await assert.rejects(delivery, (error) => error === reason)
      const callback = newCallback()
      await harness.backend.deliver(harness.destination, callback, forever())
      assert.deepEqual(await harness.arrived(1), [callback])
    })

    it('names a peer that is away, and delivers again once it is back', async () => {
      await using harness = await start()
      await harness.backend.deliver(harness.destination, newCallback(), forever())
      await harness.goAway()
      for (let attempt = 0; attempt < 2; attempt++) {
        const failure = await failureOf(harness.backend.deliver(harness.destination, newCallback(), forever()))
        assert.equal(failure.code, 'receiver.unreachable')
        assert.equal(failure.retriable, true)
        assert.match(failure.message, /ECONNREFUSED|ECONNRESET|other side closed/)
      }
      await harness.comeBack()
      await eventually(() => harness.backend.deliver(harness.destination, newCallback(), forever()))
    })

    it('closes as often as it is asked, also when it never delivered', async () => {
      await using harness = await start()
      await harness.backend.close()
      await harness.backend.close()
    })

    it('closes while a delivery hangs', async () => {
      await using harness = await start()
      await harness.backend.deliver(harness.destination, newCallback(), forever())
      const stop = new AbortController()
      const delivery = harness.backend.deliver(await harness.silent(), newCallback(), stop.signal)
      const outcome = Promise.allSettled([delivery])
      await harness.backend.close()
      stop.abort(new Error('stop'))
      const [{ status }] = await outcome
      assert.equal(status, 'rejected')
    }).timeout(5000)
  })
}

/** @throws unless it fails with a {JobError} about the receiver */
export async function failureOf(delivery: Promise<void>): Promise<JobError> {
  const error = await delivery.then(
    () => assert.fail('it was delivered'),
    (error: unknown) => error,
  )
  assert.ok(error instanceof JobError, String(error))
  assert.match(error.code, /^receiver\./)
  return error
}
