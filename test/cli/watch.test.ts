import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type Client, downloader } from '#client'
import { watch } from '../../src/cli/watch.ts'
import { startOrigin } from '../support/http-origin.ts'

describe('waiting for many jobs', () => {
  it('tells of a job once, also when an event comes in the middle of the look that finds it over', async () => {
    await using api = await startOrigin()
    let events: ServerResponse | undefined
    const tell = (id: string) => {
      const event = { at: '', id, event: 'downloaded', room: 'downloads', group: 'a' }
      events?.write(`event: job\ndata: ${JSON.stringify(event)}\n\n`)
    }
    let heard = () => {}
    api.on('/events', (_request, response) => {
      events = response
      response.write(': listening\n\n')
      tell('first')
    })
    api.on('/jobs/first', async (_request, response) => {
      const again = new Promise<void>((resolve) => {
        heard = resolve
      })
      tell('first')
      await again
      response.end('{"state":"done"}')
      tell('second')
    })
    api.on('/jobs/second', '{"state":"done"}')
    const client = downloader({ url: api.url })
    const listening: Client = {
      ...client,
      async *events(query, signal) {
        for await (const live of client.events(query, signal)) {
          yield live
          heard() // who listens has taken it, and wants the next
        }
      },
    }

    const over: string[] = []
    const watching = watch(listening, new AbortController().signal, (id) => over.push(id))
    watching.add('first')
    watching.add('second')
    await watching.finish()
    await watching.close()
    assert.deepEqual(over, ['first', 'second'])
  })
})
