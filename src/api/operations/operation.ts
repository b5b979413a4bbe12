import type { z } from 'zod'

/** What one method of one path takes and answers; the document at `/openapi.json` is made of these. */
export interface Operation {
  method: 'get' | 'post' | 'patch' | 'delete'
  /** With parameters as `{name}`. */
  path: string
  tag: 'jobs' | 'aggregations' | 'service'
  summary: string
  description?: string
  /** What the parameters in the path are. */
  params?: Record<string, string>
  query?: z.ZodObject
  headers?: Record<string, string>
  body?: Body
  /** By status. */
  answers: Record<number, Answer>
  /** Statuses that are answered with a problem (RFC 9457), and when. */
  problems?: Record<number, string>
  /** Whether it is answered without a token, too. */
  open?: boolean
}

export interface Body {
  schema: z.ZodType
  /** Its media type, when that is not JSON. */
  type?: string
  /** Of each property, where the schema itself does not say. */
  descriptions?: Record<string, string>
  /** Other ways to send it: media type and what it is. */
  also?: Record<string, string>
}

export interface Answer {
  description: string
  /** Of a JSON answer, and its name among the components. */
  schema?: z.ZodType
  name?: string
  /** Of any other: its media type. */
  type?: string
  headers?: Record<string, string>
}
