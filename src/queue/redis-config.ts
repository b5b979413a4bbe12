import { z } from 'zod'

const HOST_PORT = /^(\[[^\]]+\]|[^:[\]]*):(\d{1,5})$/
export const isHostPort = (text: string) => Number(HOST_PORT.exec(text)?.[2] ?? Number.NaN) <= 65_535
const hostPort = z.string().refine(isHostPort, 'must be host:port')

/** Where Redis is. At least one of `addr`, `url`, `sentinel`, `cluster`. */
export const RedisConfig = z
  .strictObject({
    /** `host:port`, or the path of a unix socket. */
    addr: z
      .string()
      .refine((addr) => isHostPort(addr) || addr.includes('/'), 'must be host:port, or the path of a unix socket')
      .optional(),
    /** `redis://`, `rediss://` or `unix://`. */
    url: z
      .string()
      .regex(/^(rediss?|unix):\/\//, 'must begin with redis://, rediss:// or unix://')
      .refine((text) => URL.canParse(text), { error: 'is not a URL', abort: true })
      .refine((text) => /^\d*$/.test(databaseOf(new URL(text))), 'must name the database by its number')
      .refine((text) => isDecodable(new URL(text)), 'has a % that begins no percent-encoding: write %25')
      .optional(),
    sentinel: z.array(hostPort).min(1).optional(),
    master_name: z.string().min(1).optional(),
    sentinel_password: z.string().optional(),
    cluster: z.array(hostPort).min(1).optional(),
    /** Keys are `{prefix}:…`: one deployment lives in one hash slot. */
    key_prefix: z
      .string()
      .regex(/^[^{}\s]+$/, 'must not be empty nor hold braces or spaces')
      .default('downloader'),
    /** A job is accepted when as many replicas have it. */
    wait_replicas: z.number().int().min(0).max(10).optional(),
    /** A job is accepted when the master has it in its append-only file, on disk. */
    wait_aof: z.boolean().optional(),
  })
  .refine((redis) => redis.addr ?? redis.url ?? redis.sentinel ?? redis.cluster, 'needs addr, url, sentinel or cluster')
  .refine((redis) => !redis.sentinel || redis.master_name, { path: ['master_name'], message: 'goes with sentinel' })
export type RedisConfig = z.infer<typeof RedisConfig>

/** The number of the database that a URL names, `""` where it names none. */
export function databaseOf(url: URL): string {
  return url.protocol === 'unix:' ? (url.searchParams.get('db') ?? '') : url.pathname.slice(1)
}

function isDecodable({ username, password, pathname }: URL): boolean {
  try {
    decodeURIComponent(username + password + pathname)
    return true
  } catch {
    return false
  }
}

export function parseHostPort(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = HOST_PORT.exec(text) ?? []
  return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(port) }
}
