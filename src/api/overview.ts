import type { Books } from '../queue/books.ts'
import type { Instances, Role } from '../queue/instances.ts'
import { remembered } from './remembered.ts'
import type { Overview } from './schemas/overview.ts'

export interface OverviewDeps {
  books: () => Promise<Books>
  instances: Record<Role, Pick<Instances, 'all'>>
  /** For how many ms the first job of each room waits that could start. */
  waits: () => Promise<Map<string, number>>
  /** Of this software. */
  version: string
  tokens: string[] | undefined
}

/** What everybody who looks within this time is told alike. */
const FRESH_MS = 800
const ROLES = ['api', 'processor', 'notifier'] as const

/** The whole deployment at a glance; many who look cost as much as one. */
export function overviewOf({ books, instances, waits, version, tokens }: OverviewDeps): () => Promise<Overview> {
  const { get } = remembered(async () => {
    const [now, longest, ...processes] = await Promise.all([
      books(),
      waits(),
      ...ROLES.map((role) => instances[role].all()),
    ])
    const shown = now.rooms.filter(({ room }) => !room.startsWith('deletions:'))
    return {
      at: new Date().toISOString(),
      version,
      login: tokens !== undefined,
      processes: processes.flatMap((some, i) =>
        some
          .map(({ since_ms, ...about }) => {
            return { role: ROLES[i] ?? 'api', ...about, since: new Date(since_ms).toISOString() }
          })
          .sort((a, b) => (a.host === b.host ? a.pid - b.pid : a.host < b.host ? -1 : 1)),
      ),
      rooms: shown.map(({ room, pending, claimed }) => {
        return { room, pending, running: claimed, longest_wait_ms: longest.get(room) ?? 0 }
      }),
      at_rest: {
        done: now.rest.done,
        failed: now.rest.failed,
        callback_failed: now.rest['callback-failed'],
        cancelled: now.rest.cancelled,
      },
      accepted: now.accepted,
    }
  }, FRESH_MS)
  return get
}
