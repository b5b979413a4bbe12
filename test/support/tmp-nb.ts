import { execFileSync } from 'node:child_process'
import { kafkaBackend } from '/work/main/src/notifier/backends/kafka.ts'
import { KafkaConfig } from '/work/main/src/notifier/backends/kafka-config.ts'
import { startKafka } from '/work/main/test/support/kafka.ts'

await using kafka = await startKafka()
const log = {
  debug: (...a: unknown[]) => {},
  info: console.log,
  warn: console.log,
  error: console.log,
  fatal: console.log,
} as never
const b = kafkaBackend(KafkaConfig.parse({ 'bootstrap.servers': kafka.bootstrap }), log)
const cb = { job_id: 'abc', x: 'é\n' } as never
await b.deliver('topic1', cb, new AbortController().signal)
for (const x of [
  [],
  ['-X', 'fetch.wait.max.ms=10'],
  ['-X', 'fetch.wait.max.ms=10', '-X', 'fetch.error.backoff.ms=10'],
  ['-X', 'topic.metadata.refresh.fast.interval.ms=10'],
]) {
  const t = performance.now()
  console.log(
    execFileSync('kcat', [
      '-C',
      '-e',
      '-q',
      '-b',
      kafka.bootstrap,
      '-t',
      'topic1',
      '-o',
      'beginning',
      '-f',
      '%p %k %s\n',
      ...x,
    ]).toString(),
    x,
    performance.now() - t,
  )
}
await b.close()
