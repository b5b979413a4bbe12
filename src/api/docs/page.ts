import type { Json } from '../openapi.ts'

interface Document {
  info: { title: string; version: string; description: string }
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Json> }
}
interface Operation {
  tags: string[]
  summary: string
  description?: string
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Json }[]
  requestBody?: { content: Record<string, { schema: Json }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>
}

/** The OpenAPI document as one page of HTML, without any script. */
export function docsPage(document: Json): string {
  const { info, paths, components } = document as unknown as Document
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const tags = [...new Set(all.flatMap(({ operation }) => operation.tags))]
  const sections = tags.map((tag) => {
    const own = all.filter(({ operation }) => operation.tags.includes(tag))
    return `<h2>${text(tag)}</h2>${own.map(section).join('')}`
  })
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) => `<h3 id="${name}"><a href="#${name}">${text(name)}</a></h3>${properties(schema)}`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(info.title)}: the API</title>
<link rel="stylesheet" href="/docs/docs.css">
</head>
<body>
<h1>${text(info.title)} ${text(info.version)}: the API</h1>
<p>${text(info.description)} Errors are <code>application/problem+json</code> (RFC 9457). For programs:
<a href="/openapi.json">/openapi.json</a>.</p>
${sections.join('\n')}
<h2>answers</h2>
${schemas.join('\n')}
</body>
</html>
`
}

function section({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const { summary, description, parameters = [], requestBody, responses } = operation
  const anchor = `${method}-${path}`.replace(/[^a-z_]+/g, '-')
  const body = Object.entries(requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<p>Body: <code>${text(type)}</code></p>${properties(schema)}`,
  )
  const answers = Object.entries(responses).map(([status, { description, content = {} }]) => {
    const kinds = Object.entries(content).map(([type, { schema }]) => kindOf(schema, type))
    return [text(status), text(description), kinds.join(', ')]
  })
  const listed = parameters.map(({ name, in: where, required, description, schema }) => {
    const meaning = description ?? String(schema.description ?? '')
    return [code(name), `${where}${required ? ', required' : ''}`, kindOf(schema), text(meaning)]
  })
  return `<h3 id="${anchor}"><a href="#${anchor}"><span class="method">${method.toUpperCase()}</span> ${code(path)}</a></h3>
<p>${text(summary)}.${description ? ` ${text(description)}` : ''}</p>
${table(['parameter', '', 'type', 'meaning'], listed)}${body.join('')}${table(['status', 'meaning', 'answer'], answers)}`
}

/** What an object holds, or what an array is of; anything else says its type. */
function properties(schema: Json): string {
  const items = schema.items as Json | undefined
  if (items) return `<p>A list of:</p>${properties(items)}`
  const own = schema.properties as Record<string, Json> | undefined
  if (!own)
    return schema.description
      ? `<p>${text(String(schema.description))}</p>`
      : `<pre>${text(JSON.stringify(schema, null, 2))}</pre>`
  const required = (schema.required as string[] | undefined) ?? []
  const rows = Object.entries(own).map(([name, property]) => [
    code(name),
    `${kindOf(property)}${required.includes(name) ? '' : ', optional'}`,
    text(String(property.description ?? '')),
  ])
  return table(['field', 'type', 'meaning'], rows)
}

function kindOf(schema: Json, otherwise = ''): string {
  const { $ref, type, enum: words, anyOf, items, default: usual } = schema
  if (typeof $ref === 'string') {
    const name = $ref.slice($ref.lastIndexOf('/') + 1)
    return `<a href="#${name}">${text(name)}</a>`
  }
  const end = usual === undefined ? '' : ` (${code(JSON.stringify(usual))})`
  if (Array.isArray(words)) return words.map((word) => code(String(word))).join(', ') + end
  if (Array.isArray(anyOf)) return anyOf.map((one) => kindOf(one as Json)).join(' or ') + end
  if (items) return `list of ${kindOf(items as Json)}${end}`
  return text([type ?? otherwise].flat().join(' or ')) + end
}

function table(heads: string[], rows: string[][]): string {
  if (rows.length === 0) return ''
  const cells = (tag: 'th' | 'td', row: string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`
  return `<table>${cells('th', heads)}${rows.map((row) => cells('td', row)).join('')}</table>`
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (plain: string) => plain.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? '')
const code = (plain: string) => `<code>${escaped(plain)}</code>`
/** Text in which `words` may be marked as code. */
const text = (plain: string) => escaped(plain).replace(/`([^`]+)`/g, '<code>$1</code>')
