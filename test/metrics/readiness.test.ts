import assert from 'node:assert/strict'
import { type Check, readiness, seldom } from '../../src/metrics/readiness.ts'

const well: Check = async () => {}
const ill: Check = async () => {
  throw new Error('it is broken')
}

describe('readiness', () => {
  it('wants all of what every job needs, and one of the ways that it may take', async () => {
    const is = async (...checks: Parameters<typeof readiness>) => (await readiness(...checks)()).ready
    assert.equal(await is({ all: { a: well, b: well } }), true)
    assert.equal(await is({ all: { a: well, b: ill } }), false)
    assert.equal(await is({ all: { a: well }, any: { b: ill, c: well } }), true)
    assert.equal(await is({ all: { a: well }, any: { b: ill, c: ill } }), false)
    assert.equal(await is({ all: { a: ill }, any: { b: well } }), false)
  })

  it('names each check, and what is wrong', async () => {
    const { lines } = await readiness({ all: { redis: well, disk: ill }, any: { http: well } })()
    assert.deepEqual(lines, ['redis: ok', 'disk: it is broken', 'http: ok'])
  })

  it('waits a second, and asks no check twice that does not answer', async () => {
    let asked = 0
    const silent: Check = () => {
      asked++
      return new Promise(() => {})
    }
    const examine = readiness({ all: { redis: silent } })
    const answers = await Promise.all([examine(), examine()])
    for (const { ready, lines } of answers) assert.deepEqual([ready, lines], [false, ['redis: does not answer']])
    assert.equal(asked, 1)
  })

  it('gives a check a signal that ends it after a second, and asks again', async () => {
    let asked = 0
    const patient: Check = (signal) => {
      if (asked++ > 0) return Promise.resolve()
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
    }
    const examine = readiness({ all: { storage: patient } })
    assert.deepEqual((await examine()).lines, ['storage: does not answer'])
    await new Promise(setImmediate)
    assert.deepEqual((await examine()).lines, ['storage: ok'])
  })

  it('keeps an answer for a while, good or bad', async () => {
    const { signal } = new AbortController()
    for (const check of [well, ill]) {
      let asked = 0
      const kept = seldom(async (signal) => {
        asked++
        return check(signal)
      }, 60_000)
      const first = await kept(signal).catch((error: Error) => error.message)
      for (let i = 0; i < 10; i++) assert.equal(await kept(signal).catch((error: Error) => error.message), first)
      assert.equal(asked, 1)
      const forgetful = seldom(async () => void asked++, 0)
      await forgetful(signal)
      await forgetful(signal)
      assert.equal(asked, 3)
    }
  })
})
