import type { ParsedUrlQuery } from 'node:querystring'
import { z } from 'zod'

/**
 * The query of a request. A name that is not known is an error: a filter that does not filter is dangerous.
 *
 * @throws {z.ZodError} names the parameter
 */
export function parseQuery<T extends z.ZodRawShape>(
  schema: z.ZodObject<T>,
  query: ParsedUrlQuery,
): z.infer<z.ZodObject<T>> {
  const known = Object.keys(schema.shape)
  const issues = Object.entries(query).flatMap(([name, value]): z.core.$ZodIssue[] => {
    const wrong = !known.includes(name)
      ? `is not one of ${known.join(', ')}`
      : Array.isArray(value)
        ? 'is given twice'
        : ''
    return wrong ? [{ code: 'custom', path: [name], message: wrong, input: value }] : []
  })
  if (issues.length > 0) throw new z.ZodError(issues)
  return schema.parse(Object.fromEntries(Object.entries(query).filter(([, value]) => value !== '')))
}

const integerText = (min: number, max: number) => {
  const message = `must be an integer from ${min} to ${max}`
  return z.coerce.number(message).int(message).min(min, message).max(max, message)
}

/** How many of a list. */
export const Count = integerText(1, 1000).default(100)
export const Offset = integerText(0, 1_000_000).default(0)

export const Instant = z.iso
  .datetime({ offset: true, error: 'must be a time as in RFC 3339, such as 2030-01-31T12:00:00Z' })
  .transform((value) => Date.parse(value))
