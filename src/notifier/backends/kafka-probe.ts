import { JobError } from '../../jobs/errors.ts'
import type { KafkaSettings } from './kafka-config.ts'
import { reasonOf } from './kafka-failure.ts'
import { trackedSockets } from './kafka-line.ts'
import { unlessAborted } from './unless-aborted.ts'

/**
 * Resolves when one of the bootstrap servers shakes hands: it speaks Kafka, over TLS where we do, and takes our
 * credentials. All are asked at once, so that a frozen one hides no other, over connections that end with this.
 *
 * @throws {JobError} with what the first of them said
 */
export async function probeKafka(
  loadKafkajs: () => Promise<typeof import('kafkajs')>,
  { client, brokers }: KafkaSettings,
  signal: AbortSignal,
): Promise<void> {
  const { Kafka, logLevel } = await loadKafkajs()
  const sockets = trackedSockets()
  const options = { ...client, retry: { retries: 0 }, socketFactory: sockets.connect, logLevel: logLevel.NOTHING }
  const shakeHands = (broker: string) => new Kafka({ ...options, brokers: [broker] }).admin().connect()
  try {
    await unlessAborted(Promise.any(brokers.map(shakeHands)), signal)
  } catch (error) {
    signal.throwIfAborted()
    const [first] = (error as AggregateError).errors
    const text = `no broker of ${brokers.join(', ')} answers: ${reasonOf(first)}`
    throw new JobError('receiver.unreachable', text, { retriable: true, cause: error })
  } finally {
    sockets.destroy()
  }
}
