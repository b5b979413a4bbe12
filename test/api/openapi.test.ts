import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { docsPage } from '../../src/api/docs/page.ts'
import { operations } from '../../src/api/openapi.ts'
import { assertDocumented, document } from '../support/openapi.ts'

interface Schema {
  $ref?: string
  [name: string]: unknown
}

describe('the OpenAPI document', () => {
  it('has every route of the API', () => {
    const folder = new URL('../../src/api/routes/', import.meta.url)
    const routes = readdirSync(folder).flatMap((name) => {
      const source = readFileSync(new URL(name, folder), 'utf8')
      return [...source.matchAll(/\.(get|post|patch|delete|put)\('([^']+)'/g)].map(([, method, path = '']) => {
        return `${method} ${path.replace(/:(\w+)/g, '{$1}')}`
      })
    })
    const documented = new Set(operations.map(({ method, path }) => `${method} ${path}`))
    const known = routes.filter((route) => !route.endsWith('.css'))
    assert.ok(known.length > 15, `${known}`)
    for (const route of known) assert.ok(documented.has(route), `${route} is not in the document`)
    // the dashboard lists its files in a table
    const without = [...documented].filter((route) => !known.includes(route) && route !== 'get /')
    assert.deepEqual(without, [], 'documented, but no route')
  })

  it('refers to nothing that it does not have, and names each operation once', () => {
    const schemas = Object.keys((document.components as { schemas: object }).schemas)
    const refs: string[] = []
    const ids: string[] = []
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      const { $ref, operationId } = value as Schema
      if (typeof $ref === 'string') refs.push($ref)
      if (typeof operationId === 'string') ids.push(operationId)
      for (const part of Object.values(value)) walk(part)
    }
    walk(document)
    assert.ok(refs.length > 10)
    for (const ref of refs) assert.ok(schemas.includes(ref.replace('#/components/schemas/', '')), ref)
    assert.equal(new Set(ids).size, ids.length, `${ids}`)
  })

  it('says of every field of a job what it means', () => {
    const { requestBody } = (document.paths as Record<string, Record<string, Schema>>)['/download']?.post ?? {}
    const body = requestBody as { content: Record<string, { schema: { properties: Record<string, Schema> } }> }
    const fields = Object.entries(body.content['application/json']?.schema.properties ?? {})
    assert.ok(fields.length >= 20)
    for (const [name, { description }] of fields) assert.ok(description, name)
  })

  it('is compared with answers, and finds what is wrong with them', async () => {
    const answer = (status: number, body: unknown, type = 'application/json') =>
      new Response(JSON.stringify(body), { status, headers: { 'content-type': type } })
    const url = 'http://api.test/download'
    const problem = { type: 'about:blank', title: 'Bad Request', status: 400, detail: 'x' }
    await assertDocumented('POST', url, answer(201, { id: 'AAAAAAAAAAAAAA' }))
    await assertDocumented('POST', url, answer(400, problem, 'application/problem+json'))
    for (const wrong of [
      answer(201, { id: 'AAAAAAAAAAAAAA', more: 1 }),
      answer(201, { id: 'short' }),
      answer(202, { id: 'AAAAAAAAAAAAAA' }),
      answer(201, { id: 'AAAAAAAAAAAAAA' }, 'text/plain'),
      answer(400, { ...problem, detail: undefined }, 'application/problem+json'),
    ]) {
      await assert.rejects(assertDocumented('POST', url, wrong), assert.AssertionError)
    }
    await assert.rejects(assertDocumented('PUT', url, answer(200, {})), assert.AssertionError)
  })

  it('becomes a page without scripts, in which everything is escaped', () => {
    const page = docsPage(document)
    for (const { path } of operations) assert.ok(page.includes(`<code>${path}</code>`), path)
    assert.ok(!/<script|\son\w+="|style="/i.test(page))
    assert.match(docsPage({ ...document, info: { title: '<b>', version: '"', description: '&' } }), /&lt;b&gt; &quot;/)
  })
})
