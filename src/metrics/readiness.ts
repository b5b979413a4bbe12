import { pause } from '../deadline.ts'

/** Resolves when something works; rejects with what is wrong, in words that hold no secret. */
export type Check = (signal: AbortSignal) => Promise<void>

export interface Checks {
  /** What every job needs, by name. */
  all: Record<string, Check>
  /** Ways of which some jobs need one and some another, by name: while one works, something can be done. */
  any?: Record<string, Check>
}

export interface Readiness {
  ready: boolean
  /** `<name>: ok`, or what is wrong in its place. */
  lines: string[]
}

const CHECK_MS = 1000
const LATE = 'does not answer'

/** Says whether jobs can be done, within a second. A check that does not end in time is not begun again before it does. */
export function readiness({ all, any = {} }: Checks): () => Promise<Readiness> {
  /** What each check will say: nothing, when all is well. */
  const underWay = new Map<string, Promise<string | undefined>>()

  function ask(name: string, check: Check): Promise<string | undefined> {
    const asked = check(AbortSignal.timeout(CHECK_MS))
      .then(
        () => undefined,
        (error: Error) => (error.name === 'TimeoutError' ? LATE : error.message),
      )
      .finally(() => underWay.delete(name))
    underWay.set(name, asked)
    return asked
  }

  return async () => {
    const over = new AbortController()
    const late = pause(CHECK_MS, over.signal).then(() => LATE)
    const complaintsOf = (checks: Record<string, Check>) =>
      Promise.all(
        Object.entries(checks).map(async ([name, check]) => {
          return { name, complaint: await Promise.race([underWay.get(name) ?? ask(name, check), late]) }
        }),
      )
    const [needed, ways] = await Promise.all([complaintsOf(all), complaintsOf(any)])
    over.abort()
    const works = ({ complaint }: { complaint: string | undefined }) => complaint === undefined
    return {
      ready: needed.every(works) && (ways.length === 0 || ways.some(works)),
      lines: [...needed, ...ways].map(({ name, complaint = 'ok' }) => `${name}: ${complaint}`),
    }
  }
}

/** The same answer for `keepMs`, so that those who ask often cost nobody else anything. */
export function seldom(check: Check, keepMs: number): Check {
  let last: { atMs: number; answer: Promise<void> } | undefined
  return async (signal) => {
    if (last && performance.now() - last.atMs < keepMs) return last.answer
    const answer = check(signal)
    await answer.catch(() => {})
    last = { atMs: performance.now(), answer }
    return answer
  }
}

/** For how long it stands what a service of others said to a check. */
export const KEEP_MS = 2000
