import { ask, link, withQuery } from './api.js'
import { Chart } from './chart.js'
import { useAnswer } from './hooks.js'
import { Failure, Table, Tabs } from './parts.js'
import { html } from './vendor/preact.js'
import { bytes, duration, moment, number, since } from './words.js'

const REST = [
  ['done', 'done'],
  ['failed', 'failed'],
  ['callback_failed', 'callback failed'],
  ['cancelled', 'cancelled'],
]

const value = (name) => (point) => point[name] ?? 0
const CHARTS = [
  [
    'Downloads',
    [
      { label: 'downloaded', colour: 'good', of: value('downloaded') },
      { label: 'failed', colour: 'bad', of: value('failed') },
      { label: 'to be retried', colour: 'other', of: value('retried') },
    ],
  ],
  [
    'Callbacks',
    [
      { label: 'delivered', colour: 'good', of: value('delivered') },
      { label: 'failed', colour: 'bad', of: value('callbacks_failed') },
      { label: 'to be retried', colour: 'other', of: value('callbacks_retried') },
    ],
  ],
  [
    'Wait before the first attempt, s',
    [
      { label: 'mean', colour: 'plain', of: (point) => (point.wait_ms ?? 0) / 1000 / (point.starts || 1) },
      { label: 'longest', colour: 'other', of: (point) => (point.max_wait_ms ?? 0) / 1000 },
    ],
  ],
  [
    'Pending',
    [
      { label: 'downloads', colour: 'plain', of: value('pending') },
      { label: 'callbacks', colour: 'good', of: value('callbacks_pending') },
    ],
  ],
]

export function OverviewPage({ query }) {
  const span = query.get('span') === 'day' ? 'day' : 'hour'
  const { answer: now, error } = useAnswer(() => ask('/overview'), [], 1000)
  const { answer: series } = useAnswer(() => ask(withQuery('/series', { span })), [span], 5000)
  return html`
    <h1 tabindex="-1">Overview</h1>
    <${Failure} error=${error} />
    ${now && html`<p class="quiet" role="status">As of ${moment(now.at)}, version ${now.version}</p><${Figures} now=${now} />`}
    <section aria-label="Charts">
      <${Tabs} label="Time span" chosen=${span} choices=${[
        ['hour', 'last hour', link('', { span: 'hour' })],
        ['day', 'last day', link('', { span: 'day' })],
      ]} />
      <div class="charts">
        ${series && CHARTS.map(([title, lines]) => html`<${Chart} key=${title} title=${`${title}, ${perStep(series)}`} points=${series.points} lines=${lines} />`)}
      </div>
    </section>
    ${now && html`<${Processes} processes=${now.processes} />`}
  `
}

const perStep = ({ step_s }) => (step_s === 60 ? 'each minute' : `every ${step_s / 60} minutes`)

/** As jobs are listed: callbacks of all backends together. */
function placesOf(rooms) {
  const downloads = rooms.filter(({ room }) => room === 'downloads')
  const callbacks = rooms.filter(({ room }) => room !== 'downloads')
  return [
    { name: 'downloads', rooms: downloads, waiting: 'pending', working: 'running' },
    { name: 'callbacks', rooms: callbacks, waiting: 'callback_pending', working: 'callback_running' },
  ]
}

const Count = ({ state, count, text }) =>
  html`<p><a href=${link('jobs', { state })}><b>${number(count)}</b> ${text}</a></p>`

function Figures({ now }) {
  return html`<div class="figures">
    ${placesOf(now.rooms).map((place) => html`<${Place} key=${place.name} ...${place} />`)}
    <section class="figure" aria-label="at rest">
      <h2>at rest</h2>
      ${REST.map(([state, text]) => html`<${Count} state=${state} count=${now.at_rest[state]} text=${text} />`)}
    </section>
  </div>`
}

function Place({ name, rooms, waiting, working }) {
  const sum = (of) => rooms.reduce((all, room) => all + of(room), 0)
  const wait = Math.max(0, ...rooms.map(({ longest_wait_ms: ms }) => ms))
  const backendOf = (room) => room.slice(room.indexOf(':') + 1)
  return html`<section class="figure" aria-label=${name}>
    <h2>${name}</h2>
    <${Count} state=${waiting} count=${sum(({ pending }) => pending)} text="pending" />
    <${Count} state=${working} count=${sum(({ running }) => running)} text="running" />
    <p class="quiet">${wait === 0 ? 'nothing waits that could start' : html`waits for <b>${duration(wait)}</b>`}</p>
    ${rooms.length > 1 && html`<p class="quiet">${rooms.map(({ room, pending, running }) => `${backendOf(room)}: ${number(pending)} + ${number(running)}`).join(', ')}</p>`}
  </section>`
}

const COLUMNS = [
  { head: 'Role' },
  { head: 'Host' },
  { head: 'Process', number: true },
  { head: 'Version' },
  { head: 'Alive for', number: true },
  { head: 'Running', number: true },
  { head: 'CPU', number: true },
  { head: 'Memory', number: true },
]

function Processes({ processes }) {
  const rows = processes.map((one) => ({
    key: `${one.role} ${one.host} ${one.pid}`,
    cells: [
      one.role,
      one.host,
      one.pid,
      one.version,
      html`<span title=${moment(one.since)}>${since(one.since)}</span>`,
      one.concurrency ? `${number(one.running)} of ${number(one.concurrency)}` : '',
      `${Math.round(one.cpu * 100)} %`,
      html`${bytes(one.memory)}${one.disk_full && html` <span class="badge">disk full</span>`}`,
    ],
  }))
  return html`<section><h2>Processes</h2>
    <${Table} caption="Processes that are alive" columns=${COLUMNS} rows=${rows} empty="no process has reported lately" />
  </section>`
}
