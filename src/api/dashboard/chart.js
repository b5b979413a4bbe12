import { html, useEffect, useRef } from './vendor/preact.js'
import uPlot from './vendor/uplot.js'

/** Colours that can be told apart on light and dark ground, also by those who see fewer. */
const COLOURS = { good: '#2f9e6e', bad: '#d9485f', other: '#d98a1f', plain: '#3d7fd9' }

const HEIGHT = 180

function optionsOf(title, lines, width) {
  const ink = getComputedStyle(document.documentElement).getPropertyValue('--quiet').trim() || '#777'
  const grid = { stroke: `${ink}33`, width: 1 }
  return {
    title,
    width,
    height: HEIGHT,
    cursor: { points: { size: 6 } },
    scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.1)] } },
    axes: [
      { stroke: ink, grid, ticks: grid },
      { stroke: ink, grid, ticks: grid, size: 56 },
    ],
    series: [
      { label: 'at' },
      ...lines.map(({ label, colour, dash }) => ({
        label,
        stroke: COLOURS[colour],
        fill: `${COLOURS[colour]}22`,
        width: 2,
        points: { show: false },
        ...(dash && { dash }),
      })),
    ],
  }
}

/** @param lines [{ label, colour, of }], where `of` makes a number of a point */
export function Chart({ title, points, lines }) {
  const place = useRef()
  const plot = useRef()
  const data = [
    points.map(({ at }) => Date.parse(at) / 1000),
    ...lines.map(({ of }) => points.map((point) => of(point))),
  ]

  useEffect(() => {
    const element = place.current
    const draw = () => {
      plot.current?.destroy()
      plot.current = new uPlot(optionsOf(title, lines, element.clientWidth), data, element)
    }
    draw()
    let width = element.clientWidth
    const watcher = new ResizeObserver(() => {
      if (element.clientWidth === width) return
      width = element.clientWidth
      plot.current?.setSize({ width, height: HEIGHT })
    })
    watcher.observe(element)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', draw)
    return () => {
      watcher.disconnect()
      scheme.removeEventListener('change', draw)
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [title])

  useEffect(() => plot.current?.setData(data), [points])
  const sums = lines.map(({ label }, i) => `${label}: ${data[i + 1].reduce((sum, value) => sum + value, 0)}`)
  return html`<figure class="chart" role="img" aria-label=${`${title}; ${sums.join(', ')}`}><div ref=${place}></div></figure>`
}
