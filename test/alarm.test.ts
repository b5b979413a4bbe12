import assert from 'node:assert/strict'
import { alarm } from '../src/alarm.ts'

const msOf = async (sleep: Promise<void>) => {
  const begin = performance.now()
  await sleep
  return performance.now() - begin
}

describe('an alarm', () => {
  it('ends the sleep when it rings', async () => {
    const { ring, sleep } = alarm()
    setTimeout(ring, 20)
    const ms = await msOf(sleep(5000))
    assert.ok(ms > 15 && ms < 1000, `${ms} ms`)
  })

  it('lets nobody sleep who was rung for while awake', async () => {
    const { ring, sleep } = alarm()
    ring()
    ring()
    assert.ok((await msOf(sleep(5000))) < 1000)
  })

  it('rings for one sleep only', async () => {
    const { ring, sleep } = alarm()
    ring()
    await sleep(5000)
    assert.ok((await msOf(sleep(50))) >= 49)
    setTimeout(ring, 10)
    await sleep(5000)
    assert.ok((await msOf(sleep(50))) >= 49)
  })

  it('ends the sleep when it is time', async () => {
    const ms = await msOf(alarm().sleep(50))
    assert.ok(ms >= 49 && ms < 1000, `${ms} ms`)
  })
})
