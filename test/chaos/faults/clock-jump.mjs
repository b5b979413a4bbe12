// Preloaded into processes (NODE_OPTIONS=--import=…): each SIGUSR2 sets `Date` off by the next of the ms in
// CHAOS_CLOCK_JUMPS. What a wrong clock of the host would do to a process, but for its monotonic clock, which no host's
// clock moves.
const jumps = (process.env.CHAOS_CLOCK_JUMPS ?? '').split(',').map(Number)
const RealDate = Date
let off = 0
let signals = 0

globalThis.Date = new Proxy(RealDate, {
  construct(target, args, newTarget) {
    return Reflect.construct(target, args.length > 0 ? args : [RealDate.now() + off], newTarget)
  },
  apply: () => new RealDate(RealDate.now() + off).toString(),
  get: (target, name) => (name === 'now' ? () => RealDate.now() + off : Reflect.get(target, name)),
})

process.on('SIGUSR2', () => {
  off = jumps[signals++ % jumps.length]
})
