import fc from 'fast-check'
import { queueSuite } from '../support/queue.ts'
import { clientsOf } from './model/clients.ts'
import { forgetfulHistory, forgetfulWorld } from './model/forgetful.ts'
import { history } from './model/steps.ts'
import { openWorld } from './model/world.ts'

// MODEL_RUNS=2000 goes on for minutes; MODEL_SEED and MODEL_PATH, which a failure names, repeat it.
const { MODEL_RUNS = '50', MODEL_SEED, MODEL_PATH } = process.env
const numRuns = Number(MODEL_RUNS)

/** Takes history after history, and shrinks the first that fails. */
async function explore<H>(
  histories: fc.Arbitrary<H>,
  live: (history: H, note: (step: unknown) => void) => Promise<void>,
) {
  const property = fc.asyncProperty(histories, async (history) => {
    let at: unknown
    let count = 0
    const note = (step: unknown) => {
      at = step
      count++
    }
    try {
      await live(history, note)
    } catch (error) {
      throw new Error(`in step ${count}, ${JSON.stringify(at)}`, { cause: error })
    }
  })
  await fc.assert(property, {
    numRuns,
    ...(MODEL_SEED === undefined ? {} : { seed: Number(MODEL_SEED) }),
    ...(MODEL_PATH === undefined ? {} : { path: MODEL_PATH }),
  })
}

describe('the queue and its model', () => {
  const { server } = queueSuite()

  it('agree on every job after every step, whatever the clients do', () =>
    explore(history, async ({ setups, steps }, note) => {
      await using world = await openWorld(server())
      const clients = clientsOf(world, setups)
      for (const step of steps) {
        note(step)
        await clients.take(step)
      }
      await clients.drain()
    })).timeout(numRuns * 1000 + 60_000)

  it('hold the limits, however much Redis forgets', () =>
    explore(forgetfulHistory, async (steps, note) => {
      await using world = await forgetfulWorld(server())
      for (const step of steps) {
        note(step)
        await world.take(step)
      }
      await world.drain()
    })).timeout(numRuns * 1000 + 60_000)
})
