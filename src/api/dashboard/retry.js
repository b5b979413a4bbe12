import { ask } from './api.js'
import { Ask } from './parts.js'
import { html, useState } from './vendor/preact.js'

/** Requests of one press of the button; each retries up to a thousand. */
const MOST_REQUESTS = 100

/** A button that queues again all that have failed and fit the filter. */
export function RetryAll({ filter, onDone }) {
  const [asked, setAsked] = useState(false)
  const [said, setSaid] = useState('')
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ''))
  const act = async ({ rate }) => {
    let retried = 0
    for (let i = 0; i < MOST_REQUESTS; i++) {
      const answer = await ask('/retry', { method: 'POST', body: { ...given, rate: Number(rate) } })
      retried += answer.retried
      if (!answer.more) break
    }
    setSaid(`${retried} queued again`)
    await onDone()
  }
  const names = Object.entries(given).map(([name, value]) => `${name.replace('_', ' ')}: ${value}`)
  return html`<button onClick=${() => setAsked(true)} aria-label=${`Retry all, ${names.join(', ')}`}>Retry all</button>
    <span role="status" class="quiet">${said}</span>
    ${
      asked &&
      html`<${Ask} title="Retry all of them?" text=${`What has ${names.join(', ')} is queued again.`} verb="Retry"
      fields=${[{ label: 'Starts per second', name: 'rate', type: 'number', min: 0.01, max: 10_000, step: 'any', value: 50, required: true }]}
      act=${act} onClose=${() => setAsked(false)} />`
    }`
}
