import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ApiConfig } from '../../src/api/config.ts'
import { Config } from '../../src/config/schema.ts'
import { LogConfig } from '../../src/log-config.ts'
import { NotifierConfig } from '../../src/notifier/config.ts'
import { ProcessorConfig } from '../../src/processor/config.ts'
import { RedisConfig } from '../../src/queue/redis-config.ts'
import { TracingConfig } from '../../src/tracing/config.ts'

describe('docs/configuration.md', () => {
  it('has every key of every section', () => {
    const text = readFileSync('docs/configuration.md', 'utf8')
    const workers = { processor: ProcessorConfig, notifier: NotifierConfig }
    const sections = { redis: RedisConfig, api: ApiConfig, ...workers, log: LogConfig, tracing: TracingConfig }
    assert.deepEqual(Object.keys(Config.shape).sort(), [...Object.keys(sections), 'backends'].sort())
    for (const [name, schema] of Object.entries(sections)) {
      const section = text.split(`\n## ${name}\n`)[1]?.split('\n## ')[0] ?? ''
      for (const key of Object.keys(schema.shape)) assert.ok(section.includes(`\`${key}\``), `${name}.${key}`)
    }
  })
})

describe('docs/migrating.md', () => {
  it('says what becomes of every key that the original has', () => {
    const text = readFileSync('docs/migrating.md', 'utf8')
    const sample = JSON.parse(readFileSync('config.json.sample', 'utf8')) as Record<string, Record<string, unknown>>
    for (const [section, keys] of Object.entries(sample)) {
      for (const key of Object.keys(keys)) {
        // of a backend the section, or one of its keys: librdkafka has hundreds
        assert.match(text, new RegExp(`\`${section}\\.${key}[.\`]`), `${section}.${key}`)
      }
    }
  })
})
