/** ms by the monotonic clock that all processes of a machine share (CLOCK_MONOTONIC): comparable between them. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
