import { openApi } from '../src/api/openapi.ts'

/** JSON Schema, as far as the API's document uses it. */
interface Schema {
  $ref?: string
  type?: string | string[]
  description?: string
  const?: unknown
  enum?: unknown[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema | boolean
}

interface Media {
  schema: Schema
}
interface Operation {
  operationId: string
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[]
  requestBody?: { content: Record<string, Media> }
}

const HEAD = `// Generated from the OpenAPI document by client/generate.ts: a test fails when this file is stale.
`

/** TypeScript for the schemas of the OpenAPI document, and for what its operations take: `…Body` and `…Query`. */
export function apiTypes(): string {
  const document = openApi('') as { components: { schemas: Record<string, Schema> }; paths: Record<string, object> }
  const types = Object.entries(document.components.schemas)
  for (const path of Object.values(document.paths)) {
    for (const { operationId, parameters = [], requestBody } of Object.values(path) as Operation[]) {
      const name = operationId.charAt(0).toUpperCase() + operationId.slice(1)
      const body = requestBody?.content['application/json']?.schema
      if (body?.type === 'object') types.push([`${name}Body`, body])
      const query = parameters.filter((parameter) => parameter.in === 'query')
      if (query.length > 0) types.push([`${name}Query`, queryOf(query)])
    }
  }
  return `${HEAD}${types.map(([name, schema]) => `\nexport type ${name} = ${typeOf(schema, '')}\n`).join('')}`
}

function queryOf(parameters: NonNullable<Operation['parameters']>): Schema {
  return {
    type: 'object',
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
  }
}

function typeOf(schema: Schema, indent: string): string {
  if (schema.$ref) return schema.$ref.split('/').at(-1) ?? 'unknown'
  if (schema.const !== undefined) return literal(schema.const)
  if (schema.enum) return schema.enum.map(literal).join(' | ')
  const options = schema.anyOf ?? schema.oneOf
  if (options) return options.map((option) => typeOf(option, indent)).join(' | ')
  const { type } = schema
  if (Array.isArray(type)) return type.map((one) => typeOf({ ...schema, type: one }, indent)).join(' | ')
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type
    case 'integer':
    case 'number':
      return 'number'
    case 'array': {
      const item = typeOf(schema.items ?? {}, indent)
      return /[ {]/.test(item) ? `Array<${item}>` : `${item}[]`
    }
    case 'object':
      return objectOf(schema, indent)
    default:
      return 'unknown'
  }
}

function objectOf({ properties, required = [], additionalProperties }: Schema, indent: string): string {
  if (!properties) {
    const value = typeof additionalProperties === 'object' ? typeOf(additionalProperties, indent) : 'unknown'
    return `Record<string, ${value}>`
  }
  const deeper = `${indent}  `
  const lines = Object.entries(properties).flatMap(([name, schema]) => {
    const key = /^\w+$/.test(name) ? name : `'${name}'`
    const mark = required.includes(name) ? '' : '?'
    const orAbsent = mark && ' | undefined'
    const comment = schema.description ? [`${deeper}/** ${schema.description} */`] : []
    return [...comment, `${deeper}${key}${mark}: ${typeOf(schema, deeper)}${orAbsent}`]
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}

const literal = (value: unknown) => (typeof value === 'string' ? `'${value}'` : String(value))
