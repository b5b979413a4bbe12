// What all pages are made of. Values become text nodes and attributes, never markup.
import { html, useEffect, useRef, useState } from './vendor/preact.js'

export const Failure = ({ error }) => error && html`<p class="failure" role="alert">${error.message}</p>`

/** @param columns [{ head, sort?, number? }], of which `sort` is the name to sort by */
export function Table({ caption, columns, rows, sort, onSort, empty = 'nothing' }) {
  return html`<div class="table" tabindex="0" role="region" aria-label=${caption}>
    <table>
      <caption class="quiet">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<${Head} ...${column} sorted=${sort} onSort=${onSort} />`)}</tr></thead>
      <tbody>
        ${rows.length === 0 && html`<tr><td colspan=${columns.length} class="quiet">${empty}</td></tr>`}
        ${rows.map(
          ({ key, cells }) => html`<tr key=${key}>
            ${cells.map(
              (cell, i) =>
                html`<td data-label=${columns[i].head} class=${columns[i].number ? 'number' : ''}>${cell}</td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

function Head({ head, number, sort, sorted, onSort }) {
  const kind = number ? 'number' : ''
  if (!sort) return html`<th scope="col" class=${kind}>${head}</th>`
  const down = sort === 'aggr_id' ? 'ascending' : 'descending'
  return html`<th scope="col" class=${kind} aria-sort=${sorted === sort ? down : 'none'}>
    <button class="head" onClick=${() => onSort(sort)}>${head}${sorted === sort ? (down === 'ascending' ? ' ▲' : ' ▼') : ''}</button>
  </th>`
}

/**
 * Asks before something is done. `fields` are inputs: [{ name, label, value, type, … }]; what they hold is handed to `act`.
 * `value` is only what they hold at first: the page beneath is drawn anew while somebody types.
 */
export function Ask({ title, text, verb, fields = [], danger = false, act, onClose }) {
  const dialog = useRef()
  const [error, setError] = useState()
  const [busy, setBusy] = useState(false)
  useEffect(() => {
    dialog.current.showModal()
  }, [])
  const submit = async (event) => {
    event.preventDefault()
    setBusy(true)
    try {
      await act(Object.fromEntries(new FormData(event.currentTarget)))
      onClose()
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }
  return html`<dialog ref=${dialog} onClose=${onClose} aria-label=${title}>
    <form onSubmit=${submit}>
      <h2>${title}</h2>
      <p>${text}</p>
      ${fields.map(({ label, value, ...input }) => html`<label>${label}<input ...${input} defaultValue=${value} /></label>`)}
      <${Failure} error=${error} />
      <div class="buttons">
        <button type="button" onClick=${() => dialog.current.close()}>Leave it</button>
        <button class=${danger ? 'danger' : 'main'} disabled=${busy}>${verb}</button>
      </div>
    </form>
  </dialog>`
}

/** A choice of a few, as links. */
export const Tabs = ({ label, choices, chosen }) => html`<nav class="tabs" aria-label=${label}>
  ${choices.map(([name, text, href]) => html`<a href=${href} aria-current=${name === chosen ? 'page' : undefined}>${text}</a>`)}
</nav>`

export const Live = ({ live }) =>
  html`<span class="live" data-live=${String(live)}>${live ? 'live' : 'not live'}</span>`
