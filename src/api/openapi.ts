import { z } from 'zod'
import { aggregationOperations } from './operations/aggregations.ts'
import { jobOperations } from './operations/jobs.ts'
import type { Answer, Operation } from './operations/operation.ts'
import { serviceOperations } from './operations/service.ts'
import { ProblemView } from './problems.ts'

export type Json = { [name: string]: unknown }

/** Every operation of the API; the dashboard's own files are none. */
export const operations: readonly Operation[] = [...jobOperations, ...aggregationOperations, ...serviceOperations]

/** The OpenAPI 3.1 document of the API, made from the schemas that check requests. */
export function openApi(version: string): Json {
  const schemas: Json = { Problem: schemaOf(ProblemView, 'output') }
  const paths: Record<string, Json> = {}
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: described(operation, schemas) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Downloader',
      version,
      description:
        'A service that downloads what other services ask for. Bodies are JSON, whatever their Content-Type says.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, {}],
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'one of api.tokens, where the deployment has any' },
      },
    },
  }
}

/** Every operation that is not open may be answered with these. */
const COMMON = { 401: 'a token is required', 500: 'a bug', 503: 'Redis is away, or too many jobs wait' }
/** Those that read, with this to a browser: it asked for a page, not for data. */
const TO_LOGIN: Answer = {
  description: 'to the login form: a browser asked for a page, without a session',
  type: 'text/html',
  headers: { Location: '`/login?next=…`' },
}
/** And those that change something. */
const CHANGING = { 403: 'a browser sent it from a page of another site' }

function described(operation: Operation, schemas: Json): Json {
  const { summary, description, tag, body, answers, problems = {}, open = false } = operation
  const responses: Json = {}
  for (const [status, text] of Object.entries({
    ...(open ? {} : COMMON),
    ...(operation.method === 'get' ? {} : CHANGING),
    ...problems,
  })) {
    responses[status] = problem(text, status)
  }
  const sent = !open && operation.method === 'get' ? { 303: TO_LOGIN, ...answers } : answers
  for (const [status, answer] of Object.entries(sent)) responses[status] = answered(answer, schemas)
  const parameters = parametersOf(operation)
  return {
    operationId: `${operation.method}${operation.path.replace(/\W+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tag],
    summary,
    ...(description && { description }),
    ...(open && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: bodyOf(body) }),
    responses,
  }
}

function parametersOf({ params = {}, query, headers = {} }: Operation): Json[] {
  const string = { type: 'string' }
  const list: Json[] = Object.entries(params).map(([name, description]) => {
    return { name, in: 'path', required: true, description, schema: string }
  })
  if (query) {
    const { properties = {}, required = [] } = schemaOf(query, 'input') as { properties?: Json; required?: string[] }
    for (const [name, schema] of Object.entries(properties)) {
      list.push({ name, in: 'query', ...(required.includes(name) && { required: true }), schema })
    }
  }
  for (const [name, description] of Object.entries(headers))
    list.push({ name, in: 'header', description, schema: string })
  return list
}

function bodyOf({
  schema,
  type = 'application/json',
  descriptions = {},
  also = {},
}: NonNullable<Operation['body']>): Json {
  const json = schemaOf(schema, 'input')
  const properties = json.properties as Record<string, Json> | undefined
  for (const [name, property] of Object.entries(properties ?? {})) property.description ??= descriptions[name]
  const others = Object.entries(also).map(([type, description]) => [type, { schema: { type: 'string', description } }])
  return { required: true, content: { [type]: { schema: json }, ...Object.fromEntries(others) } }
}

function answered({ description, schema, name, type, headers = {} }: Answer, schemas: Json): Json {
  if (schema && name) schemas[name] = schemaOf(schema, 'output')
  const listed = Object.entries(headers).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ])
  return {
    description,
    ...(listed.length > 0 && { headers: Object.fromEntries(listed) }),
    content: schema
      ? { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } }
      : { [type ?? 'text/plain']: { schema: { type: 'string' } } },
  }
}

function problem(description: string, status: string): Json {
  const retry = { description: 'seconds', schema: { type: 'string' } }
  return {
    description,
    ...(status === '503' && { headers: { 'Retry-After': retry } }),
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  }
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const json = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern // it says the same
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
    },
  })
  const { $schema: _, ...rest } = json
  return rest
}
