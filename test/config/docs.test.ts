import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ApiConfig } from '../../src/api/config.ts'
import { Config } from '../../src/config/schema.ts'
import { NotifierConfig } from '../../src/notifier/config.ts'
import { ProcessorConfig } from '../../src/processor/config.ts'
import { RedisConfig } from '../../src/queue/redis.ts'

describe('docs/configuration.md', () => {
  it('has every key of every section', () => {
    const text = readFileSync('docs/configuration.md', 'utf8')
    const sections = { redis: RedisConfig, api: ApiConfig, processor: ProcessorConfig, notifier: NotifierConfig }
    assert.deepEqual(Object.keys(Config.shape).sort(), [...Object.keys(sections), 'backends'].sort())
    for (const [name, schema] of Object.entries(sections)) {
      const section = text.split(`\n## ${name}\n`)[1]?.split('\n## ')[0] ?? ''
      for (const key of Object.keys(schema.shape)) assert.ok(section.includes(`\`${key}\``), `${name}.${key}`)
    }
  })
})
