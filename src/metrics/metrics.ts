import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/**
 * The metrics of one part of a process. Names begin with `downloader_` and end in a base unit; labels have few values, all
 * of them known to us. docs/observability.md lists them.
 */
export function newMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const prefixed = (name: string) => `downloader_${name}`
  return {
    registry,
    counter: (name: string, help: string, labelNames: string[] = []) =>
      new Counter({ name: prefixed(name), help, labelNames, registers }),
    gauge: (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name: prefixed(name), help, labelNames, registers }),
    /** Looked up whenever somebody asks. */
    gaugeOf: (name: string, help: string, value: () => number) =>
      new Gauge({
        name: prefixed(name),
        help,
        registers,
        collect() {
          this.set(value())
        },
      }),
    histogram: (name: string, help: string, buckets: number[], labelNames: string[] = []) =>
      new Histogram({ name: prefixed(name), help, buckets, labelNames, registers }),
  }
}

export type Metrics = ReturnType<typeof newMetrics>
