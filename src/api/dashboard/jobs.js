import { ask, link, withQuery } from './api.js'
import { useAnswer } from './hooks.js'
import { Failure, Table } from './parts.js'
import { RetryAll } from './retry.js'
import { html, useEffect, useState } from './vendor/preact.js'
import { moment } from './words.js'

const STATES = [
  'pending',
  'running',
  'callback_pending',
  'callback_running',
  'callback_failed',
  'done',
  'failed',
  'cancelled',
]
const FILTERS = { aggr_id: 'Aggregation', receiver: 'Receiver', code: 'Code' }
const COLUMNS = [
  { head: 'Job' },
  { head: 'State' },
  { head: 'Aggregation' },
  { head: 'URL' },
  { head: 'Attempts', number: true },
  { head: 'Failure' },
  { head: 'At' },
]

export function JobsPage({ query }) {
  const state = STATES.includes(query.get('state')) ? query.get('state') : 'pending'
  const filter = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, query.get(name) ?? '']))
  const path = withQuery('/jobs', { state, ...filter, count: 50 })
  const { answer, error, reload } = useAnswer(() => ask(path), [path], 2000)
  const [more, setMore] = useState([])
  const [next, setNext] = useState(null)
  useEffect(() => {
    setMore([])
    setNext(null)
  }, [path])
  const after = next ?? answer?.next
  const goOn = async () => {
    const page = await ask(withQuery('/jobs', { state, ...filter, count: 50, cursor: after }))
    setMore([...more, ...page.jobs])
    setNext(page.next ?? '')
  }
  const jobs = [...new Map([...(answer?.jobs ?? []), ...more].map((job) => [job.id, job])).values()]
  const shown = Object.entries(filter).filter(([, value]) => value !== '')
  return html`
    <h1 tabindex="-1">Jobs</h1>
    <form class="search" onSubmit=${(event) => event.preventDefault()}>
      <label>State <select value=${state} onChange=${(event) => {
        location.hash = link('jobs', { ...filter, state: event.currentTarget.value })
      }}>${STATES.map((name) => html`<option value=${name}>${name.replace('_', ' ')}</option>`)}</select></label>
      ${shown.map(
        ([name, value]) => html`<span class="filter">${FILTERS[name]}: <bdi>${value}</bdi>
        <a href=${link('jobs', { state, ...filter, [name]: '' })} aria-label=${`Without this ${FILTERS[name]}`}>×</a></span>`,
      )}
      ${(state === 'callback_failed' || state === 'failed') && jobs.length > 0 && html`<${RetryAll} filter=${{ state, ...filter }} onDone=${reload} />`}
    </form>
    <${Failure} error=${error} />
    <${Table} caption="Jobs" columns=${COLUMNS} empty=${answer ? 'none' : 'loading …'} rows=${jobs.map(rowOf)} />
    ${after && html`<p><button onClick=${goOn}>More</button></p>`}
  `
}

const rowOf = (job) => ({
  key: job.id,
  cells: [
    html`<a href=${link(`jobs/${job.id}`)}><code>${job.id}</code></a>`,
    job.state.replace('_', ' '),
    html`<bdi>${job.aggr_id}</bdi>`,
    html`<span class="url">${job.url}</span>`,
    job.attempts,
    job.code ? html`<code title=${job.error}>${job.code}</code>` : '',
    moment(job.at),
  ],
})
