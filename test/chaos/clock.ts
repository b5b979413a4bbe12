/** The machine's monotonic clock in ms: the same for all processes of one host, and no clock jump moves it. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6
