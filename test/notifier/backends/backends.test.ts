import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { newLog } from '../../../src/log.ts'
import { createBackends } from '../../../src/notifier/backends/backends.ts'
import { BackendsConfig } from '../../../src/notifier/backends/config.ts'
import { callbacksAgent } from './callbacks-agent.ts'

const all = { http: {}, kafka: { 'bootstrap.servers': '127.0.0.1:1' }, sqs: { region: 'eu-west-1' } }

describe('the backends', () => {
  it('are those that are configured, an empty section included', async () => {
    const dispatcher = callbacksAgent()
    const log = newLog('test', 'silent')
    for (const names of [[], ['http'], ['kafka', 'sqs'], ['http', 'kafka', 'sqs']]) {
      const config = Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)))
      const backends = createBackends(BackendsConfig.parse(config), { dispatcher, log })
      assert.deepEqual(Object.keys(backends), names)
      for (const backend of Object.values(backends)) await backend.close()
    }
    await dispatcher.destroy()
  })

  it('have the documented defaults', () => {
    const { http, sqs } = BackendsConfig.parse(all)
    assert.deepEqual(http, { timeout: 30 })
    assert.deepEqual(sqs, { region: 'eu-west-1' })
  })

  it('name the key of a value that is wrong', () => {
    const wrong: [string, object][] = [
      ['http.timeout', { http: { timeout: 0 } }],
      ['http.timeout', { http: { timeout: 'long' } }],
      ['http.signing_secret', { http: { signing_secret: 7 } }],
      ['sqs.region', { sqs: {} }],
      ['sqs.endpoint', { sqs: { region: 'eu-west-1', endpoint: 'localhost:4566' } }],
      ['kafka.acks', { kafka: { ...all.kafka, acks: 7 } }],
    ]
    for (const [key, config] of wrong) {
      const { error } = BackendsConfig.safeParse(config)
      assert.deepEqual(error?.issues.map(({ path }) => path.join('.')) ?? [], [key])
    }
  })

  it('load the clients of Kafka and SQS only when they are used', async () => {
    const backends = new URL('../../../src/notifier/backends/', import.meta.url)
    const script = `
      import Module from 'node:module'
      import { createBackends } from '${new URL('backends.ts', backends)}'
      import { BackendsConfig } from '${new URL('config.ts', backends)}'
      createBackends(BackendsConfig.parse(${JSON.stringify(all)}), {})
      const loaded = Object.keys(Module._cache).filter((file) => /node_modules.(kafkajs|@aws-sdk)/.test(file))
      console.log(JSON.stringify(loaded))`
    const run = promisify(execFile)
    const { stdout } = await run(process.execPath, ['--import=tsx', '--input-type=module', '--eval', script])
    assert.deepEqual(JSON.parse(stdout), [])
  })
})
