// Figures and times in words.

const whole = new Intl.NumberFormat()
export const number = (value) => whole.format(value ?? 0)

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']
export function bytes(value) {
  const unit = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)))
  return `${(value / 1000 ** unit).toFixed(unit === 0 ? 0 : 1)} ${UNITS[unit]}`
}

export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const s = ms / 1000
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`
}

export const since = (time) => duration(Math.max(0, Date.now() - Date.parse(time)))
export const moment = (time) => new Date(time).toLocaleString()
