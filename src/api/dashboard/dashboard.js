// The dashboard: an address behind the `#` is a page, each in a file of its own.
import { AggregationsPage } from './aggregations.js'
import { ask, link } from './api.js'
import { EventsPage } from './events.js'
import { FailuresPage } from './failures.js'
import { useAnswer } from './hooks.js'
import { JobPage } from './job.js'
import { JobsPage } from './jobs.js'
import { OverviewPage } from './overview.js'
import { html, render, useEffect, useState } from './vendor/preact.js'

const PAGES = {
  '': OverviewPage,
  aggregations: AggregationsPage,
  jobs: JobsPage,
  failures: FailuresPage,
  events: EventsPage,
}
const TITLES = { '': 'Overview', aggregations: 'Aggregations', jobs: 'Jobs', failures: 'Failures', events: 'Events' }

function place() {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s)
  const [page = '', id = ''] = path.split('/')
  return { page: page in PAGES ? page : '', id: decode(id), query: new URLSearchParams(query) }
}

function decode(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function Dashboard() {
  const [{ page, id, query }, setPlace] = useState(place)
  useEffect(() => {
    const move = () => setPlace(place())
    addEventListener('hashchange', move)
    return () => removeEventListener('hashchange', move)
  }, [])
  useEffect(() => {
    document.title = `${id || TITLES[page]} · Downloader`
  }, [page, id])
  const Page = page === 'jobs' && id ? JobPage : PAGES[page]
  return html`
    <a class="skip" href="#main" onClick=${skip}>To the content</a>
    <header>
      <nav aria-label="Pages">
        ${Object.entries(TITLES).map(([name, title]) => html`<a href=${link(name)} aria-current=${name === page ? 'page' : undefined}>${title}</a>`)}
        <a href="/docs">API</a>
      </nav>
      <form class="find" role="search" onSubmit=${find}>
        <label><span class="unseen">Job</span><input name="id" placeholder="id of a job" required pattern="\\s*[A-Za-z0-9_\\-]{14}\\s*" title="14 characters" /></label>
        <button>Look</button>
      </form>
      <${Logout} />
    </header>
    <main id="main" tabindex="-1"><${Page} key=${`${page} ${id}`} id=${id} query=${query} /></main>
  `
}

function Logout() {
  const { answer } = useAnswer(() => ask('/overview'), [])
  return answer?.login ? html`<form method="post" action="/logout"><button>Log out</button></form>` : null
}

function find(event) {
  event.preventDefault()
  location.hash = link(`jobs/${new FormData(event.currentTarget).get('id').trim()}`)
  event.currentTarget.reset()
  document.querySelector('main').focus()
}

function skip(event) {
  event.preventDefault()
  document.querySelector('main').focus()
}

addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.closest('input, select, textarea, dialog')) return
  const search = document.querySelector('#search') ?? document.querySelector('.find input')
  event.preventDefault()
  search?.focus()
})

render(html`<${Dashboard} />`, document.querySelector('#dashboard'))
