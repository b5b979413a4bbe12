export interface Remembered<T> {
  get(): Promise<T>
  /** Whoever asks from now on gets an answer that is not older than this. */
  forget(): void
}

/** Asks again only when the last answer is older than `ms`: many who ask cost as much as one. A failure is not remembered. */
export function remembered<T>(ask: () => Promise<T>, ms: number): Remembered<T> {
  let last: { answer: Promise<T>; untilMs: number } | undefined
  return {
    get() {
      if (last && performance.now() < last.untilMs) return last.answer
      const asked = { answer: ask(), untilMs: Number.POSITIVE_INFINITY }
      last = asked
      asked.answer.then(
        () => {
          asked.untilMs = performance.now() + ms
        },
        () => {
          if (last === asked) last = undefined
        },
      )
      return asked.answer
    },
    forget() {
      last = undefined
    },
  }
}
