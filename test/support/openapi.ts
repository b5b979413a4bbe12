import assert from 'node:assert/strict'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { type Json, openApi } from '../../src/api/openapi.ts'

interface Documented {
  pattern: RegExp
  methods: Record<string, { responses: Record<string, { content?: Json; headers?: Json }> }>
}

/** The document that answers are compared with. */
export const document = openApi('0.0.0-test')

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true })
addFormats.default(ajv)
ajv.addSchema({ $id: 'openapi', components: document.components }, 'openapi')
ajv.addVocabulary(['components'])

const paths: Documented[] = Object.entries(document.paths as Record<string, Documented['methods']>).map(
  ([path, methods]) => ({
    pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+').replace(/\./g, '\\.')}$`),
    methods,
  }),
)
const validators = new Map<string, ValidateFunction>()

/** Compiles each schema once. */
function validatorOf(ref: string): ValidateFunction {
  const known = validators.get(ref)
  if (known) return known
  const validate = ajv.compile({ $ref: `openapi${ref}` })
  validators.set(ref, validate)
  return validate
}

/**
 * Compares an answer of the API with its OpenAPI document: path, method and status are in it, and body and headers are as it
 * says.
 * What is at no path of the document must be a problem.
 */
export async function assertDocumented(method: string, url: string, response: Response): Promise<void> {
  const pathname = new URL(url).pathname.replace(/(.)\/$/, '$1')
  const what = `${method} ${pathname} ${response.status}`
  const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? ''
  const documented = paths.find(({ pattern }) => pattern.test(pathname))
  const operation = documented?.methods[method.toLowerCase()]
  if (!operation) {
    if (pathname.startsWith('/dashboard/') || pathname.startsWith('/docs/')) return
    assert.ok([401, 404, 405].includes(response.status), `${what} is not in the document`)
    return assertBody(what, '#/components/schemas/Problem', response)
  }
  const { content, headers = {} } = operation.responses[response.status] ?? {}
  assert.ok(content, `${what} is not in the document`)
  for (const name of ['Location', 'Retry-After']) {
    // what the document does not have must not come; of a job it is absent when nothing will happen
    const has = response.headers.has(name)
    assert.ok(
      name in headers ? has || pathname.startsWith('/jobs/') : !has,
      `${what}: ${name} is ${has ? '' : 'not '}there`,
    )
  }
  const media = content[type] as { schema: { $ref?: string } } | undefined
  assert.ok(media, `${what} is ${type}, and should be ${Object.keys(content)}`)
  if (media.schema.$ref) await assertBody(what, media.schema.$ref, response)
}

async function assertBody(what: string, ref: string, response: Response): Promise<void> {
  const body: unknown = await response.clone().json()
  const validate = validatorOf(ref)
  assert.ok(validate(body), `${what}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body).slice(0, 500)}`)
}
