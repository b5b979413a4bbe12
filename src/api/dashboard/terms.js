// What an operator sets of an aggregation, as a form and back.

const textOf = (value) => String(value ?? '')
const numberOr = (text) => (text === '' ? null : Number(text))

/** The burst that goes with a rate when none is given, as in the API. */
const usualBurst = (rate) => Math.max(1, Math.floor(rate / 10))

/** Holds what is set, and behind what is not, what its jobs bring. */
const shownOf = ({ set }) => ({
  limit: textOf(set.limit),
  rate: textOf(set.rate),
  burst: set.burst === usualBurst(set.rate) ? '' : textOf(set.burst),
})

export function termsFields(aggregation) {
  const { limit, rate } = aggregation
  const shown = shownOf(aggregation)
  const field = (name, label, about) => ({ name, label, type: 'number', value: shown[name], ...about })
  return [
    field('limit', 'Downloads at once', { min: 1, step: 1, placeholder: textOf(limit) }),
    field('rate', 'Downloads begun per second', { min: 0, step: 'any', placeholder: textOf(rate) }),
    field('burst', 'Of these, begun at once', { min: 1, step: 1, placeholder: 'a tenth of them' }),
  ]
}

/** Only what differs from what was shown: what nobody touched is not set. Rate and burst are one setting. */
export function amendmentOf(aggregation, given) {
  const shown = shownOf(aggregation)
  const differs = (name) => given[name] !== shown[name]
  const amendment = {}
  if (differs('limit')) amendment.limit = numberOr(given.limit)
  if (differs('rate') || differs('burst')) {
    amendment.rate = numberOr(given.rate)
    if (given.rate !== '' && given.burst !== '') amendment.burst = Number(given.burst)
  }
  return amendment
}
