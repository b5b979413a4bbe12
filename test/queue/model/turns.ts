import assert from 'node:assert/strict'

/**
 * Fairness: while several groups can run, none is served twice before the others had a turn.
 *
 * @param canStart how many jobs of a group could start at this moment
 */
export function turnsOf(canStart: (room: string, group: string) => number) {
  /** For every group that can run: who was served since it can, or since it was served itself. */
  const passed = new Map<string, Map<string, Set<string>>>()
  const waitingIn = (room: string) => {
    const waiting = passed.get(room) ?? new Map<string, Set<string>>()
    passed.set(room, waiting)
    return waiting
  }

  return {
    /** A group that cannot run gives up its turn. To be called whenever one may have become unable to. */
    forgetIdle(room: string): void {
      const waiting = waitingIn(room)
      for (const group of waiting.keys()) if (canStart(room, group) === 0) waiting.delete(group)
    },
    /** To be called before the job counts as started. */
    served(room: string, group: string, groups: Iterable<string>): void {
      const waiting = waitingIn(room)
      for (const other of groups) {
        if (other === group || canStart(room, other) === 0) continue
        const before = waiting.get(other) ?? new Set()
        assert.ok(!before.has(group), `${JSON.stringify(group)} was served twice while ${JSON.stringify(other)} waited`)
        waiting.set(other, before.add(group))
      }
      waiting.delete(group)
    },
  }
}
