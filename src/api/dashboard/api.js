// Asks the API. Whatever fails is an Error whose message people can read.

/** The JSON that `path` answers; `undefined` where nothing is left (204, or an empty body). */
export async function ask(path, { method = 'GET', body } = {}) {
  const init = { method, headers: { accept: 'application/json' } }
  if (body !== undefined) init.body = JSON.stringify(body)
  const response = await fetch(path, init).catch(() => {
    throw new Error('the API cannot be reached')
  })
  if (response.status === 401) {
    location.assign('/login')
    throw new Error('log in again')
  }
  const text = await response.text()
  const answer = text === '' ? undefined : parse(text)
  if (!response.ok) throw new Error(answer?.detail ?? `${path} answered ${response.status}`)
  return answer
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `path?name=value&…`, without what is empty. */
export function withQuery(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '')
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
  return given.length > 0 ? `${path}?${query}` : path
}

/** The address of a page of the dashboard. */
export const link = (page, values = {}) => withQuery(`#/${page}`, values)

/** Of one aggregation. URLs have no way to write the names `.` and `..`: browsers take them for folders. */
export const aggregationPath = (name) => `/aggregations/${encodeURIComponent(name)}`
export const hasAddress = (name) => name !== '.' && name !== '..' && name !== ''
