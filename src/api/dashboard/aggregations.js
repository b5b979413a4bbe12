import { aggregationPath, ask, hasAddress, link, withQuery } from './api.js'
import { useAnswer } from './hooks.js'
import { Ask, Failure, Table } from './parts.js'
import { amendmentOf, termsFields } from './terms.js'
import { html, useState } from './vendor/preact.js'
import { number, since } from './words.js'

const PAGE = 50
const COLUMNS = [
  { head: 'Aggregation', sort: 'aggr_id' },
  { head: 'Limit', number: true },
  { head: 'Rate', number: true },
  { head: 'Running', number: true, sort: 'running' },
  { head: 'Pending', number: true, sort: 'pending' },
  { head: 'Oldest wait', number: true, sort: 'waiting' },
  { head: 'Failed', number: true, sort: 'failed' },
  { head: 'Change' },
]

/** Searched, sorted and cut into pages by the API: the browser holds one page. */
export function AggregationsPage({ query }) {
  const search = query.get('search') ?? ''
  const sort = query.get('sort') ?? 'pending'
  const offset = Number(query.get('offset') ?? 0)
  const path = withQuery('/aggregations', { search, sort, offset, count: PAGE })
  const { answer, error, reload } = useAnswer(() => ask(path), [path], 2000)
  const [question, setQuestion] = useState()
  const go = (changes) => {
    location.replace(link('aggregations', { search, sort, offset, ...changes })) // no step back for every letter
  }

  const amend = (name, body) => async () => {
    await ask(aggregationPath(name), { method: 'PATCH', body })
    await reload()
  }
  const { aggregations = [], total = 0 } = answer ?? {}
  return html`
    <h1 tabindex="-1">Aggregations</h1>
    <form class="search" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Search <input id="search" type="search" value=${search} placeholder="a part of the name"
        onInput=${(event) => go({ search: event.currentTarget.value, offset: 0 })} /></label>
      <span class="quiet" role="status">${number(total)} found</span>
    </form>
    <${Failure} error=${error} />
    <${Table} caption="Aggregations" columns=${COLUMNS} sort=${sort} onSort=${(sort) => go({ sort, offset: 0 })}
      empty=${answer ? 'no aggregation has jobs or settings' : 'loading …'}
      rows=${aggregations.map((one) => ({ key: one.aggr_id, cells: cellsOf(one, setQuestion, amend) }))} />
    <nav class="pages" aria-label="Pages">
      <button disabled=${offset === 0} onClick=${() => go({ offset: Math.max(0, offset - PAGE) })}>Before</button>
      <span>${number(Math.min(total, offset + 1))} to ${number(Math.min(total, offset + PAGE))} of ${number(total)}</span>
      <button disabled=${offset + PAGE >= total} onClick=${() => go({ offset: offset + PAGE })}>After</button>
    </nav>
    ${question && html`<${Ask} ...${question} onClose=${() => setQuestion(undefined)} />`}
  `
}

const ByOperator = () => html`<span title="set by an operator">*</span>`

function cellsOf(one, ask, amend) {
  const {
    aggr_id: name,
    limit,
    rate,
    running,
    pending,
    failed,
    callback_failed: undelivered,
    waiting_for_hosts: waiting,
  } = one
  const jobs = (state, count) => html`<a href=${link('jobs', { state, aggr_id: name })}>${number(count)}</a>`
  const noLink = html`<span class="quiet">jobs only</span>`
  return [
    html`<bdi class="name">${name}</bdi>${one.paused && html` <span class="badge">paused</span>`}
      ${one.held_until && html` <span class="badge">held</span>`}`,
    limit === null ? '' : html`${number(limit)}${one.set.limit !== undefined && html`<${ByOperator} />`}`,
    rate === null ? '' : html`${rate}/s${one.set.rate !== undefined && html`<${ByOperator} />`}`,
    jobs('running', running),
    html`${jobs('pending', pending)}${waiting > 0 && html` <span class="badge" title="their origin is slowed, or down">${number(waiting)} wait for hosts</span>`}`,
    one.waiting_since ? since(one.waiting_since) : '',
    html`${jobs('failed', failed)} + ${jobs('callback_failed', undelivered)}`,
    hasAddress(name) ? html`<${Changes} one=${one} ask=${ask} amend=${amend} />` : noLink,
  ]
}

function Changes({ one, ask, amend }) {
  const { aggr_id: name, paused } = one
  const pause = () =>
    ask(
      paused
        ? {
            title: `Resume ${name}?`,
            text: 'Its jobs start again, up to its limit.',
            verb: 'Resume',
            act: amend(name, { paused: null }),
          }
        : {
            title: `Pause ${name}?`,
            text: 'What runs goes on; nothing else of it starts until somebody resumes it.',
            verb: 'Pause',
            danger: true,
            act: amend(name, { paused: true }),
          },
    )
  const change = () =>
    ask({
      title: `Limit of ${name}`,
      text: 'Stands until it is changed, and wins over what its jobs bring. Empty: as they bring it.',
      verb: 'Change',
      fields: termsFields(one),
      act: async (given) => {
        const amendment = amendmentOf(one, given)
        if (Object.keys(amendment).length > 0) await amend(name, amendment)()
      },
    })
  return html`<span class="buttons">
    <button onClick=${pause} aria-label=${`${paused ? 'Resume' : 'Pause'} ${name}`}>${paused ? 'Resume' : 'Pause'}</button>
    <button onClick=${change} aria-label=${`Limit of ${name}`}>Limit</button>
  </span>`
}
