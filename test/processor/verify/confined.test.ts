import assert from 'node:assert/strict'
import { type Confined, confined } from '../../../src/processor/verify/confined.ts'

/** Answers with the bytes as text, but does what some of them say. */
const MODULE = `
import { parentPort } from 'node:worker_threads'
parentPort.on('message', (bytes) => {
  const text = Buffer.from(bytes).toString()
  if (text === 'hang') for (;;);
  if (text === 'silence') return
  if (text === 'exit') process.exit(0)
  if (text === 'throw') throw new Error('thrown')
  if (text === 'grow') for (const all = []; ; ) all.push({ n: all.length })
  parentPort.postMessage(text)
})`

function start(limitMs = 10_000, source = MODULE) {
  const reasons: string[] = []
  const thread: Confined<string> = confined({
    module: new URL(`data:text/javascript,${encodeURIComponent(source)}`),
    limitMs,
    limitMb: 16,
    onStopped: (reason) => reasons.push(reason),
  })
  return {
    reasons,
    askBytes: thread.ask,
    ask: (text: string) => thread.ask(Buffer.from(text)),
    close: thread.close,
    [Symbol.asyncDispose]: thread.close,
  }
}

describe('A confined thread', () => {
  it('answers each question, however many there are at once', async () => {
    await using thread = start()
    const questions = Array.from({ length: 300 }, (_, i) => `question ${i}`)
    assert.deepEqual(await Promise.all(questions.map(thread.ask)), questions)
    assert.deepEqual(thread.reasons, [])
  })

  it('is asked in copies: the asker may write over the bytes', async () => {
    await using thread = start()
    const pool = Buffer.from('....first....')
    const asked = [thread.askBytes(pool.subarray(4, 9)), thread.askBytes(pool.subarray(4, 9))]
    pool.fill(0)
    assert.deepEqual(await Promise.all(asked), ['first', 'first'])
  })

  for (const question of ['hang', 'silence']) {
    it(`that is brought to ${question} is given up after the limit, and another one answers`, async () => {
      await using thread = start(2000) // a thread needs some of it to start
      assert.deepEqual(await Promise.all([question, 'behind'].map(thread.ask)), [undefined, 'behind'])
      assert.deepEqual(thread.reasons, ['it took longer than 2000 ms'])
    })
  }

  for (const question of ['exit', 'throw', 'grow']) {
    it(`that is brought to ${question} gives no answer, and takes no other answer with it`, async () => {
      await using thread = start()
      const asked = ['before', question, 'behind', question, 'at last']
      const answers = await Promise.all(asked.map(thread.ask))
      assert.deepEqual(answers, ['before', undefined, 'behind', undefined, 'at last'])
      assert.equal(thread.reasons.length, 2, thread.reasons.join())
    })
  }

  it('does not grow past its limit', async () => {
    await using thread = start()
    await thread.ask('ready')
    const before = process.memoryUsage().rss
    await thread.ask('grow')
    assert.match(thread.reasons.join(), /memory/)
    assert.ok(process.memoryUsage().rss - before < 100_000_000)
  })

  it('gives no answers where its module is broken', async () => {
    await using thread = start(10_000, 'this is no JavaScript')
    assert.deepEqual(await Promise.all([thread.ask('a'), thread.ask('b')]), [undefined, undefined])
    assert.equal(thread.reasons.length, 2)
  })

  it('leaves nobody waiting when it is closed', async () => {
    const thread = start(60_000)
    const answers = Promise.all(['hang', 'behind'].map(thread.ask))
    await thread.close()
    assert.deepEqual(await answers, [undefined, undefined])
    assert.equal(await thread.ask('afterwards'), undefined)
    assert.deepEqual(thread.reasons, [])
  })
})
