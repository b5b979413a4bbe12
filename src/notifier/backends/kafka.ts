import { withDeadline } from '../../deadline.ts'
import { JobError } from '../../jobs/errors.ts'
import { isTopicName } from '../../jobs/topic-name.ts'
import type { Log } from '../../log.ts'
import type { Backend } from './backend.ts'
import { type KafkaConfig, kafkaSettings } from './kafka-config.ts'
import { isBrokersAnswer, kafkaFailure } from './kafka-failure.ts'
import { type KafkaLine, openLine } from './kafka-line.ts'
import { patchRequestQueue } from './kafka-patch.ts'
import { probeKafka } from './kafka-probe.ts'
import { unlessAborted } from './unless-aborted.ts'

/** More topics than this stay connected only while something is sent to them. */
const MAX_IDLE_LINES = 32
/** So long after a failed connect, deliveries fail at once for the same reason: a broken cluster is not hammered. */
const REST_AFTER_FAILURE_MS = 1000

/**
 * Produces callbacks: one message each, the destination is the topic, the key is the job's id.
 *
 * Every topic has a producer of its own, a line. kafkajs asks for the metadata of all topics of a producer at once, and
 * fails for all of them when one is unknown or has no leader: on a shared one, a deleted topic would stop the others.
 * Messages go one by one, because of a batch kafkajs says only whether all of it was accepted.
 *
 * @throws Error that names the key of a file that cannot be read
 */
export function kafkaBackend(config: KafkaConfig, log: Log): Backend {
  const settings = kafkaSettings(config)
  for (const warning of settings.warnings) log.warn(warning)
  /** By topic; the one that was used last stands last. */
  const lines = new Map<string, KafkaLine>()
  /** Also those that were retired while something was under way on them. */
  const open = new Set<KafkaLine>()
  let loading: Promise<typeof import('kafkajs')> | undefined
  let firstBroker = Math.floor(Math.random() * settings.brokers.length)
  let closed = false

  function loadKafkajs(): Promise<typeof import('kafkajs')> {
    loading ??= import('kafkajs').then((kafkajs) => {
      patchRequestQueue()
      return kafkajs
    })
    return loading
  }

  function lineTo(topic: string): KafkaLine {
    let line = lines.get(topic)
    if (line?.failedAt !== undefined && performance.now() > line.failedAt + REST_AFTER_FAILURE_MS) {
      retire(topic, line)
      line = undefined
    }
    if (line === undefined) {
      retireIdle()
      const opened = openLine(loadKafkajs, settings, brokersInTurn(), log, () => open.delete(opened))
      open.add(opened)
      line = opened
    }
    lines.delete(topic)
    lines.set(topic, line)
    return line
  }

  /** kafkajs stays with the first broker that accepts a connection, even if it is frozen and says nothing more. */
  function brokersInTurn(): string[] {
    firstBroker = (firstBroker + 1) % settings.brokers.length
    return [...settings.brokers.slice(firstBroker), ...settings.brokers.slice(0, firstBroker)]
  }

  function retire(topic: string, line: KafkaLine): void {
    if (lines.get(topic) === line) lines.delete(topic)
    line.closeWhenIdle()
  }

  function retireIdle(): void {
    for (const [topic, line] of lines) {
      if (lines.size < MAX_IDLE_LINES) return
      if (line.idle) retire(topic, line)
    }
  }

  function late(topic: string): JobError {
    const text = `Kafka did not acknowledge a message to topic ${topic} within ${settings.deadlineMs / 1000} s`
    return new JobError('receiver.timeout', text, { retriable: true })
  }

  return {
    async deliver(topic, callback, signal, traceparent) {
      signal.throwIfAborted()
      if (closed) throw new JobError('receiver.unreachable', 'the notifier stops', { retriable: true })
      if (!isTopicName(topic)) {
        const text = `${JSON.stringify(topic.slice(0, 249))} is no name for a Kafka topic`
        throw new JobError('receiver.refused', text, { retriable: false })
      }
      const headers = traceparent === undefined ? {} : { traceparent }
      const message = { key: callback.job_id, value: JSON.stringify(callback), headers }
      const line = lineTo(topic)
      const sending = line.send(topic, message) // kafkajs cannot be interrupted: it may end after we have left
      try {
        await withDeadline(
          settings.deadlineMs,
          signal,
          (signal) => unlessAborted(sending, signal),
          () => late(topic),
        )
      } catch (error) {
        signal.throwIfAborted()
        const rests = line.failedAt !== undefined
        if (!rests && !isBrokersAnswer(error)) retire(topic, line)
        throw kafkaFailure(topic, error)
      }
    },

    probe: (signal) => probeKafka(loadKafkajs, settings, signal),

    async close() {
      closed = true
      for (const line of open) line.close()
      lines.clear()
    },
  }
}
