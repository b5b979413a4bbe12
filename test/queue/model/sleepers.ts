import assert from 'node:assert/strict'

/** Workers that got fewer jobs than they asked for: each sleeps until its room's bell rings, or as long as it was told. */
export function sleepersOf() {
  /** By room and worker: until when, in ms since the epoch. */
  const asleep = new Map<string, Map<string, number>>()
  const inRoom = (room: string) => asleep.get(room) ?? new Map<string, number>()

  return {
    sleep: (room: string, worker: string, until: number) => void asleep.set(room, inRoom(room).set(worker, until)),
    wake: (room: string, worker: string) => void inRoom(room).delete(worker),
    ring: (room: string) => void asleep.delete(room),
    /**
     * Throws when a worker sleeps on while it could have a job.
     *
     * @param next when something of the room can be claimed first
     */
    check(room: string, now: number, next: () => number): void {
      for (const [worker, until] of inRoom(room)) {
        if (until <= now) inRoom(room).delete(worker)
        else assert.ok(until <= next(), `${worker} sleeps in ${room} until ${until}, jobs are there from ${next()} on`)
      }
    },
  }
}

export type Sleepers = ReturnType<typeof sleepersOf>
