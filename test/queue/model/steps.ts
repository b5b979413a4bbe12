import fc from 'fast-check'
import { type Place, restReasons } from '../../../src/jobs/places.ts'

export const ROOMS = ['downloads', 'callbacks:http'] as const
export const GROUPS = ['cats', 'dogs', 'a : b\n{c}:due'] as const
export const HOSTS = ['one.example', 'two.example:8080'] as const
export const WORKERS = 3

const room = fc.constantFrom(...ROOMS)
const group = fc.constantFrom(...GROUPS)
const worker = fc.nat(WORKERS - 1)
/** Picks one of what there is at that moment. */
const which = fc.nat(1000)
const limit = fc.integer({ min: 1, max: 4 })
const delayMs = fc.constantFrom(0, 0, 0, 5000, 20_000)
const holdMs = fc.constantFrom(0, 0, 8000, 30_000)
const shrink = fc.boolean()
const host = fc.constantFrom(...HOSTS)
/** What is held: the group, or only a host in it. */
const held = fc.option(host, { nil: undefined })
const perSecond = fc.constantFrom(0.1, 0.5, 3)
const burst = fc.integer({ min: 1, max: 3 })
const rate = fc.option(fc.record({ perSecond, burst }), { nil: undefined, freq: 3 })
const gift = fc.constantFrom('', 'http://proxy.example/ and more')
const reason = fc.constantFrom(...restReasons)
const patch = fc.constantFrom({}, { attempts: 1 }, { deliveries: 2, deliveryError: 'no answer' }, { storage: 'files' })

/** How a process is set up: two versions of a configuration meet while a deployment is rolled out. */
export const setup = fc.record({ leaseMs: fc.constantFrom(4000, 10_000), groupLimit: limit })
export type Setup = typeof setup extends fc.Arbitrary<infer T> ? T : never

const place: fc.Arbitrary<Place> = fc.oneof(
  fc.record({ kind: fc.constant('again' as const), delayMs, holdMs }),
  fc.record({ kind: fc.constant('back' as const) }),
  fc.record({ kind: fc.constant('rest' as const), reason, holdMs }),
  fc.record({ kind: fc.constant('gone' as const) }),
  fc.record({
    kind: fc.constant('room' as const),
    room,
    group,
    limit: fc.constantFrom(0, 0, 1, 3),
    gift,
    delayMs,
    shrink,
    holdMs,
  }),
)

const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })
const to = <K extends string>(what: K) => ({ do: fc.constant(what) })

/** What a client of the queue, a worker, an operator, time or misfortune does next. */
export const step = fc.oneof(
  weighted(
    6,
    fc.record({ ...to('add'), room, group, host, limit, rate, gift, delayMs, count: fc.integer({ min: 1, max: 4 }) }),
  ),
  weighted(1, fc.record({ ...to('add again'), which, room, group })),
  weighted(
    9,
    fc.record({
      ...to('claim'),
      worker,
      room,
      count: fc.integer({ min: 0, max: 5 }),
      leaving: fc.array(which, { maxLength: 2 }),
    }),
  ),
  weighted(2, fc.record({ ...to('claim again'), worker, room })),
  weighted(9, fc.record({ ...to('settle'), which, place, held, patch, resent: fc.boolean() })),
  weighted(1, fc.record({ ...to('settle again'), which })),
  weighted(3, fc.record({ ...to('extend'), which: fc.array(which, { minLength: 1, maxLength: 4 }) })),
  weighted(2, fc.record({ ...to('wait'), ms: fc.constantFrom(1, 3000, 9000, 11_000, 40_000) })),
  weighted(4, fc.record({ ...to('wait until'), which, ms: fc.constantFrom(-1, 0, 0, 1) })),
  weighted(
    2,
    fc.record({
      ...to('adjust'),
      room,
      group,
      settings: fc.oneof(
        fc.constant({}),
        fc.record({ limit }),
        fc.record({ paused: fc.boolean() }),
        fc.record({ limit, paused: fc.boolean() }),
        fc.record({ rate: perSecond, burst }),
      ),
    }),
  ),
  weighted(3, fc.record({ ...to('wake'), which, resting: fc.boolean(), reason, room, group, shrink, patch })),
  weighted(2, fc.record({ ...to('hasten'), which, patch })),
  weighted(1, fc.record({ ...to('crash'), worker, setup })),
  weighted(1, fc.record({ ...to('stop'), worker, setup })),
)
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

export const history = fc.record({
  setups: fc.array(setup, { minLength: WORKERS, maxLength: WORKERS }),
  steps: fc.array(step, { maxLength: 120, size: 'max' }),
})
