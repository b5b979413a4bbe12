// Shows what runs now; asks the API again every two seconds. Everything from outside enters as text, never as markup.
const EVERY_MS = 2000

/** The JSON at `path`, or undefined where there is nothing (404: no live instance). */
async function read(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } })
  if (response.status === 404) return undefined
  if (!response.ok) throw new Error(`${path} answered ${response.status}`)
  return response.json()
}

function fill(id, rows, whenEmpty) {
  const body = document.querySelector(`#${id} tbody`)
  const shown = rows.length > 0 ? rows : [[whenEmpty, '']]
  body.replaceChildren(
    ...shown.map((cells) => {
      const row = document.createElement('tr')
      row.append(
        ...cells.map((cell) => {
          const td = document.createElement('td')
          td.textContent = String(cell)
          return td
        }),
      )
      return row
    }),
  )
}

async function refresh() {
  const [processor, notifier, aggregations] = await Promise.all([
    read('/stats/processor'),
    read('/stats/notifier'),
    read('/dashboard/aggregations'),
  ])
  fill('instances', [
    ['processor', processor?.alive ?? 0],
    ['notifier', notifier?.alive ?? 0],
  ])
  fill(
    'aggregations',
    (aggregations ?? []).map(({ name, size }) => [name.replace(/^jobs:/, ''), size]),
    'nothing is pending',
  )
  fill('processor', Object.entries(processor ?? {}), 'none is alive')
  fill('notifier', Object.entries(notifier ?? {}), 'none is alive')
}

const state = document.querySelector('#state')
for (;;) {
  try {
    await refresh()
    state.textContent = `as of ${new Date().toLocaleTimeString()}`
  } catch (error) {
    state.textContent = `not up to date: ${error.message}`
  }
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
}
