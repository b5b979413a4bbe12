import { ask, link } from './api.js'
import { useAnswer, useEvents } from './hooks.js'
import { Ask, Failure, Live } from './parts.js'
import { html, useState } from './vendor/preact.js'
import { bytes, duration, moment, number } from './words.js'

/** Nothing is left to cancel. */
const OVER = ['delivered', 'done', 'failed', 'cancelled', 'cancelling', 'expired']
/** Nothing is to come: `DELETE` takes record and file away. */
const DELETABLE = ['delivered', 'done', 'failed', 'cancelled']
/** Rests until somebody retries it. */
const RETRIABLE = ['callback_failed', 'failed']
const POLL_MS = 5000

/** One job: live by its events, and asked for again now and then, since those may be missed. */
export function JobPage({ id }) {
  const path = `/jobs/${encodeURIComponent(id)}`
  const load = async () => {
    const [job, why] = await Promise.all([ask(path), ask(`${path}/why`)])
    return { job, why }
  }
  const { answer, error, reload } = useAnswer(load, [id], POLL_MS)
  const live = useEvents(`/events?job_id=${encodeURIComponent(id)}`, () => void reload())
  const [question, setQuestion] = useState()
  const { job, why } = answer ?? {}
  const act = (method, path) => async () => {
    await ask(path, { method })
    await reload()
  }
  const cancel = () =>
    setQuestion({
      title: 'Cancel this job?',
      text: 'Nobody is called back, and a file that was stored is deleted.',
      verb: 'Cancel the job',
      danger: true,
      act: act('DELETE', path),
    })
  const remove = () =>
    setQuestion({
      title: 'Delete this job?',
      text: 'The job is unknown from then on, and its file is gone, unless it is in a bucket of the caller.',
      verb: 'Delete job and file',
      danger: true,
      act: async () => {
        await ask(`${path}?over=1`, { method: 'DELETE' })
        location.hash = link('jobs')
      },
    })
  const retry = () =>
    setQuestion({
      ...(job.state === 'failed'
        ? { title: 'Download again?', text: 'The job begins anew at once, with all its retries.' }
        : { title: 'Call back again?', text: 'The callback is queued again at once.' }),
      verb: 'Retry',
      act: act('POST', `/retry/${encodeURIComponent(id)}`),
    })
  return html`
    <h1 tabindex="-1">Job <code>${id}</code> <${Live} live=${live} /></h1>
    <${Failure} error=${error} />
    ${
      job &&
      html`
      <p class="state"><b id="job-state">${job.state.replace('_', ' ')}</b>${why.text ? ` · ${why.text}` : ''}</p>
      ${why.also.length > 0 && html`<ul class="quiet">${why.also.map(({ text }) => html`<li>also: ${text}</li>`)}</ul>`}
      <p class="buttons">
        ${RETRIABLE.includes(job.state) && html`<button class="main" onClick=${retry}>Retry</button>`}
        ${!OVER.includes(job.state) && html`<button class="danger" onClick=${cancel}>Cancel</button>`}
        ${DELETABLE.includes(job.state) && html`<button class="danger" onClick=${remove}>Delete</button>`}
      </p>
      <div class="columns">
        <section><h2>Request</h2><${Facts} facts=${requestOf(job)} /></section>
        <section><h2>Timeline</h2><${Timeline} job=${job} why=${why} /></section>
        ${why.waiting && job.state !== 'delivered' && html`<section><h2>Why it waits</h2><${Facts} facts=${waitingOf(why)} /></section>`}
        ${job.callback && html`<section><h2>Callback</h2><${Facts} facts=${callbackOf(job.callback)} /></section>`}
        ${job.result && html`<section><h2>Result</h2><${Facts} facts=${resultOf(job)} /></section>`}
      </div>`
    }
    ${question && html`<${Ask} ...${question} onClose=${() => setQuestion(undefined)} />`}
  `
}

const Facts = ({ facts }) => html`<dl>
  ${facts.filter(([, value]) => value !== null && value !== '' && value !== undefined).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>`

const requestOf = (job) => [
  ['URL', job.url === null ? null : html`<span class="url">${job.url}</span>`],
  [
    'Aggregation',
    job.aggr_id === null
      ? null
      : html`<a href=${link('aggregations', { search: job.aggr_id })}><bdi>${job.aggr_id}</bdi></a>`,
  ],
  ['Attempts', number(job.attempts)],
  ['Stalls', job.stalls || null],
  ['Received', job.received_bytes === null ? null : bytes(job.received_bytes)],
]

const callbackOf = (callback) => [
  ['Backend', callback.type],
  [
    'Receiver',
    html`<a href=${link('jobs', { state: 'callback_failed', receiver: callback.receiver })}><bdi>${callback.receiver}</bdi></a>`,
  ],
  ['Attempts', number(callback.attempts)],
  ['Error', callback.error],
]

const resultOf = ({ result, file }) => [
  ['Success', result.success ? 'yes' : 'no'],
  ['Error', result.error],
  ['Code', result.error_code],
  ['Status', result.response_code || null],
  ['Size', result.success ? bytes(result.size) : null],
  ['Type', result.mime_type],
  ['Image size', result.image_size],
  ['SHA-256', result.sha256],
  ['File', file && html`<span class="url">${file.url || file.path}</span>`],
]

const waitingOf = ({ code, waiting }) => [
  ['Reason', html`<code>${code}</code>`],
  ['Before it', `${number(waiting.ahead)} of ${number(waiting.pending)} pending`],
  ['Running', `${number(waiting.running)} of at most ${number(waiting.limit)}`],
  [
    'That run',
    waiting.running_jobs.length > 0
      ? waiting.running_jobs.map((id) => html`<a href=${link(`jobs/${id}`)}><code>${id}</code></a> `)
      : null,
  ],
  ['Starts', moment(waiting.starts_at)],
  ['Retry', waiting.retry.failed > 0 ? `${waiting.retry.failed} of ${waiting.retry.of}` : null],
  ['Workers', number(waiting.workers)],
]

function Timeline({ job, why }) {
  const succeeded = (how, attempt) =>
    attempt ? [{ at: attempt.at, text: `${how} after ${duration(attempt.duration_ms)}` }] : []
  const attempts = [
    ...job.failures.map(({ at, step, code, duration_ms: ms }) => ({
      at,
      bad: true,
      text: `${step} failed after ${duration(ms)}: `,
      code,
    })),
    ...succeeded('downloaded', job.downloaded),
    ...succeeded('delivered', job.delivered),
  ]
  const steps = [
    { at: job.created_at, text: 'accepted' },
    ...attempts.sort((a, b) => Date.parse(a.at) - Date.parse(b.at)),
    ...(job.resting_since ? [{ at: job.resting_since, text: `rests: ${job.state.replace('_', ' ')}` }] : []),
    ...(job.starts_at && !job.resting_since
      ? [{ at: job.starts_at, text: job.state === 'delivered' ? 'its file is deleted' : `may start: ${why.code}` }]
      : []),
    ...(job.lease_ends_at ? [{ at: job.lease_ends_at, text: 'lease ends, unless it is extended' }] : []),
  ]
  return html`<ol class="timeline">
    ${steps.map(({ at, text, code, bad }) => html`<li data-bad=${String(bad ?? false)}><time datetime=${at}>${moment(at)}</time> ${text}${code && html`<code>${code}</code>`}</li>`)}
  </ol>`
}
