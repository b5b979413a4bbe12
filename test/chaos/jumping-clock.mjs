// Preloaded into a process: its wall clock jumps to and fro by up to three hours, four times a second.
const RealDate = Date
let shift = 0
setInterval(() => {
  shift = (Math.random() - 0.5) * 6 * 3_600_000
}, 250).unref()

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shift)
    else super(...args)
  }
  static now() {
    return RealDate.now() + shift
  }
}
