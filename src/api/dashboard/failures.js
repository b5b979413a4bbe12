import { ask, link, withQuery } from './api.js'
import { useAnswer } from './hooks.js'
import { Failure, Table, Tabs } from './parts.js'
import { RetryAll } from './retry.js'
import { html } from './vendor/preact.js'
import { number } from './words.js'

/** Adds up what has the same name, most first. */
function grouped(failures, nameOf) {
  const groups = new Map()
  for (const failure of failures) {
    const name = nameOf(failure)
    const group = groups.get(name) ?? { name, ...failure, count: 0 }
    group.count += failure.count
    groups.set(name, group)
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}

export function FailuresPage({ query }) {
  const span = query.get('span') === 'day' ? 'day' : 'hour'
  const host = query.get('host')
  const code = query.get('code')
  const { answer, error, reload } = useAnswer(() => ask(withQuery('/failures', { span })), [span], 5000)
  const here = (changes) => link('failures', { span, host, code, ...changes })
  const recent = (answer?.recent ?? []).filter(
    (one) => (host === null || one.host === host) && (code === null || one.code === code),
  )
  const nobody = answer ? 'nothing has failed' : 'loading …'
  return html`
    <h1 tabindex="-1">Failures</h1>
    <${Failure} error=${error} />
    <${Tabs} label="Time span" chosen=${span} choices=${[
      ['hour', 'last hour', here({ span: 'hour' })],
      ['day', 'last day', here({ span: 'day' })],
    ]} />
    <p class="quiet">Attempts that failed, whatever came of their jobs: one that was retried counts each time, and may be done by now.</p>
    <p>${Object.entries({ host, code })
      .filter(([, value]) => value !== null)
      .map(
        ([name, value]) =>
          html`<span class="filter">Only <bdi>${value}</bdi> <a href=${here({ [name]: '' })} aria-label=${`Every ${name}`}>×</a></span> `,
      )}</p>
    <div class="columns">
      <section><h2>Attempts by code</h2>
        <${Table} caption="Failed attempts by code" columns=${[{ head: 'Step' }, { head: 'Code' }, { head: 'Attempts', number: true }]} empty=${nobody}
          rows=${grouped(recent, (one) => `${one.step} ${one.code}`).map((one) => ({ key: one.name, cells: [one.step, html`<a href=${here({ code: one.code })}><code>${one.code}</code></a>`, number(one.count)] }))} />
      </section>
      <section><h2>Attempts by host</h2>
        <${Table} caption="Failed attempts by host" columns=${[{ head: 'Step' }, { head: 'Host' }, { head: 'Attempts', number: true }]} empty=${nobody}
          rows=${grouped(recent, (one) => `${one.step} ${one.host}`).map((one) => ({ key: one.name, cells: [one.step, one.host ? html`<a href=${here({ host: one.host })}><bdi>${one.host}</bdi></a>` : 'others', number(one.count)] }))} />
      </section>
      <section><h2>Jobs at rest by code</h2>
        <${Table} caption="Jobs at rest by code" columns=${[{ head: 'State' }, { head: 'Code' }, { head: 'Jobs', number: true }, { head: '' }]} empty=${nobody}
          rows=${(answer?.at_rest ?? []).map((one) => ({ key: `${one.state} ${one.code}`, cells: [one.state.replace('_', ' '), html`<code>${one.code}</code>`, html`<a href=${link('jobs', { state: one.state, code: one.code })}>${number(one.count)}</a>`, html`<${RetryAll} filter=${{ state: one.state, code: one.code }} onDone=${reload} />`] }))} />
      </section>
      <section><h2>Failed callbacks by receiver</h2>
        <${Table} caption="Failed callbacks by receiver" columns=${[{ head: 'Receiver' }, { head: 'Jobs', number: true }, { head: '' }]} empty=${nobody}
          rows=${(answer?.receivers ?? []).map(({ receiver, count }) => ({ key: receiver, cells: [html`<bdi>${receiver}</bdi>`, html`<a href=${link('jobs', { state: 'callback_failed', receiver })}>${number(count)}</a>`, html`<${RetryAll} filter=${{ state: 'callback_failed', receiver }} onDone=${reload} />`] }))} />
      </section>
    </div>
  `
}
