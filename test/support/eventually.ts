import { setTimeout as delay } from 'node:timers/promises'

/**
 * Looks again and again until `check` does not throw; after `withinMs` it fails with what `check` threw last. No
 * `assert.ok` without a message in `check`: for each that fails Node reads the source, to say what was not true.
 */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 10_000): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(10)
    }
  }
}
