import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

/** What one command to the mock, or one run of kcat, may take. */
const PATIENCE_MS = 10_000

export interface KafkaMessage {
  key: string
  value: string
  partition: number
  /** `name=value,name=value` */
  headers: string
}

/** Kafka's error codes that the tests use. */
export const kafkaErrors = {
  unknownServerError: -1,
  none: 0,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  topicAuthorizationFailed: 29,
} as const

/** A Kafka cluster on free ports: librdkafka's mock, in a process of its own (Debian: python3, librdkafka1, kcat). */
export async function startKafka({ brokers = 1 } = {}) {
  const script = path.join(import.meta.dirname, 'mockkafka.py')
  const child = spawn('python3', [script, String(brokers)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let last: Promise<unknown> = Promise.resolve()

  async function nextLine(): Promise<string> {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const late = once(signal, 'abort').then(() => Promise.reject(new Error('the mock cluster does not answer')))
    const line = await Promise.race([lines.next(), late])
    if (line.done) throw new Error('the mock cluster has ended; are python3 and librdkafka1 installed?')
    return line.value
  }

  /** One at a time: the answers come in the order of the commands. */
  function command(...words: (string | number)[]): Promise<void> {
    const answer = last.then(async () => {
      child.stdin.write(`${words.join(' ')}\n`)
      const line = await nextLine()
      if (line !== 'ok') throw new Error(`${words.join(' ')}: ${line}`)
    })
    last = answer.catch(() => {})
    return answer
  }

  const ready = await nextLine()
  const bootstrap = ready.replace(/^ready /, '')

  return {
    /** `host:port,host:port` */
    bootstrap,
    createTopic: (topic: string, partitions = 4) => command('topic', topic, partitions),
    /** What asking for the topic answers from now on; a producer that knows the topic already does not ask. */
    setTopicError: (topic: string, code: number) => command('topicerr', topic, code),
    /** Errors for the next produce requests, one each. */
    failProduce: (...codes: number[]) => command('err', 0, ...codes),
    down: (broker = 1) => command('down', broker),
    up: (broker = 1) => command('up', broker),
    /** How long a broker waits before each answer. */
    setDelay: (ms: number, broker = 1) => command('rtt', broker, ms),

    /** Everything that the topic holds. */
    async messages(topic: string): Promise<KafkaMessage[]> {
      const format = ['-f', '%p %k %h %s\n']
      const patience = ['-X', 'fetch.wait.max.ms=10', '-X', 'fetch.error.backoff.ms=10'] // 75 ms instead of a second
      const { stdout } = await promisify(execFile)(
        'kcat',
        ['-C', '-e', '-q', '-b', bootstrap, '-t', topic, '-o', 'beginning', ...format, ...patience],
        { timeout: PATIENCE_MS, maxBuffer: 64 * 2 ** 20 },
      )
      return stdout
        .split('\n')
        .map((line) => /^(\d+) (\S*) (\S*) (.*)$/.exec(line))
        .filter((match) => match !== null)
        .map(([, partition = '', key = '', headers = '', value = '']) => {
          return { key, value, partition: Number(partition), headers }
        })
    },

    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

export type Kafka = Awaited<ReturnType<typeof startKafka>>
