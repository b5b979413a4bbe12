import assert from 'node:assert/strict'
import { remembered } from '../../src/api/remembered.ts'

describe('what is remembered', () => {
  /** Answers with how often it was asked, when it is told to. */
  function counting() {
    const waiting: (() => void)[] = []
    let asked = 0
    const ask = () => {
      const answer = ++asked
      return new Promise<number>((resolve) => waiting.push(() => resolve(answer)))
    }
    const answerAll = () => {
      for (const answer of waiting.splice(0)) answer()
    }
    return { ask, answerAll }
  }

  it('is asked for once, by many who want it at a time', async () => {
    const { ask, answerAll } = counting()
    const { get } = remembered(ask, 60_000)
    const both = [get(), get()]
    answerAll()
    assert.deepEqual(await Promise.all([...both, get()]), [1, 1, 1])
  })

  it('is asked for anew when it was forgotten, also while it was on its way', async () => {
    const { ask, answerAll } = counting()
    const { get, forget } = remembered(ask, 60_000)
    const early = get()
    forget()
    const late = get()
    answerAll()
    assert.deepEqual(await Promise.all([early, late, get()]), [1, 2, 2])
  })

  it('is no failure', async () => {
    let fails = true
    const { get } = remembered(async () => {
      if (fails) throw new Error('no')
      return 'yes'
    }, 60_000)
    await assert.rejects(get(), /no/)
    fails = false
    assert.equal(await get(), 'yes')
  })
})
