import { link, withQuery } from './api.js'
import { useEvents } from './hooks.js'
import { Live, Table } from './parts.js'
import { html, useEffect, useState } from './vendor/preact.js'

const MOST = 200
const COLUMNS = [{ head: 'At' }, { head: 'Event' }, { head: 'Job' }, { head: 'Group' }, { head: 'Code' }]

/** What happens to jobs, as it happens: while this page is open, all processes tell it. */
export function EventsPage({ query }) {
  const aggrId = query.get('aggr_id') ?? ''
  const [typed, setTyped] = useState(aggrId)
  const [events, setEvents] = useState([])
  useEffect(() => {
    setTyped(aggrId)
    setEvents([])
  }, [aggrId])
  const live = useEvents(withQuery('/events', { aggr_id: aggrId }), (some) =>
    setEvents((all) => [...some.reverse(), ...all].slice(0, MOST)),
  )
  const go = (event) => {
    location.hash = link('events', { aggr_id: event.currentTarget.value })
  }
  const rows = events.map((one, i) => ({
    key: `${one.at} ${one.id} ${one.event} ${events.length - i}`,
    cells: [
      new Date(one.at).toLocaleTimeString(),
      one.event.replace('_', ' '),
      html`<a href=${link(`jobs/${one.id}`)}><code>${one.id}</code></a>`,
      html`<bdi>${one.group}</bdi>`,
      one.code ?? '',
    ],
  }))
  return html`
    <h1 tabindex="-1">Events <${Live} live=${live} /></h1>
    <form class="search" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Aggregation <input id="search" type="search" value=${typed} placeholder="all of them"
        onInput=${(event) => setTyped(event.currentTarget.value)} onChange=${go} /></label>
    </form>
    <${Table} caption="Events" columns=${COLUMNS} rows=${rows} empty="nothing has happened since this page was opened" />
  `
}
