/** What all scenarios have in common. Everything is shorter than in earnest, so that much happens in little time. */

/** Of processors and notifiers. */
export const LEASE_MS = 3000
/** All work again within so long after a fault is over. */
export const RECOVERY_MS = LEASE_MS + 5000
/** A process that was frozen lets go of what it lost within so long after it goes on. */
export const RELEASE_MS = 1000
/** What a process has sent before a signal came is read within so long. */
export const READ_MS = 50
/** Jobs that the client posts a second. */
export const RATE = 35
/** Aggregation → its limit. */
export const AGGREGATIONS: Readonly<Record<string, number>> = { one: 1, two: 2, three: 3, four: 4, six: 6, eight: 8 }
/** Callbacks at once to one receiver. */
export const RECEIVER_LIMIT = 4
/** How long a notifier waits for a receiver. */
export const CALLBACK_TIMEOUT_MS = 1000
/** How long a processor waits for the next byte. */
export const STALL_TIMEOUT_MS = 1200
export const DOWNLOAD_RETRIES = 25
export const DOWNLOAD_BACKOFF_MS = 200
export const CALLBACK_RETRIES = 4
export const CALLBACK_BACKOFF_MS = 100
export const GRACE_MS = 1500
/** Work that is left when the client stops must be done within so long. */
export const DRAIN_MS = 45_000

/** Around a failover Redis may forget so much. */
export const FAILOVER_MS = 1000

export const APIS = ['a1', 'a2'] as const
export const PROCESSORS = ['p1', 'p2', 'p3'] as const
export const NOTIFIERS = ['n1', 'n2'] as const
/** `dead` hangs always, `moody` sometimes. */
export const RECEIVERS = ['good', 'moody', 'dead'] as const
export type ReceiverName = (typeof RECEIVERS)[number]

export const KEY_PREFIX = 'chaos'
