import { useCallback, useEffect, useRef, useState } from './vendor/preact.js'

/**
 * What `load` resolves to, asked again every `everyMs` while the page is seen, and by `reload`. The last answer stays while the
 * next one is under way, and when it fails.
 */
export function useAnswer(load, keys, everyMs = 0) {
  const [state, setState] = useState({ answer: undefined, error: undefined })
  const turn = useRef(0)
  const reload = useCallback(async () => {
    turn.current += 1
    const mine = turn.current
    try {
      const answer = await load()
      if (mine === turn.current) setState({ answer, error: undefined })
    } catch (error) {
      if (mine === turn.current) setState(({ answer }) => ({ answer, error }))
    }
  }, keys)

  useEffect(() => {
    void reload()
    const again = () => document.hidden || void reload()
    const timer = everyMs > 0 ? setInterval(again, everyMs) : undefined
    document.addEventListener('visibilitychange', again)
    return () => {
      turn.current += 1 // what still comes is of another page
      clearInterval(timer)
      document.removeEventListener('visibilitychange', again)
    }
  }, keys)
  return { ...state, reload }
}

/** Calls back with the events of `path`, at most every `everyMs`, all that came since; says whether the stream is open. */
export function useEvents(path, onEvents, everyMs = 250) {
  const [live, setLive] = useState(false)
  const latest = useRef(onEvents)
  latest.current = onEvents
  useEffect(() => {
    if (!path) return undefined
    const source = new EventSource(path)
    let waiting = []
    let timer
    const flush = () => {
      timer = undefined
      latest.current(waiting.splice(0))
    }
    source.addEventListener('open', () => setLive(true))
    source.addEventListener('error', () => setLive(false)) // it connects again by itself
    source.addEventListener('job', ({ data }) => {
      waiting.push(JSON.parse(data))
      if (waiting.length > 500) waiting = waiting.slice(-500)
      timer ??= setTimeout(flush, everyMs)
    })
    return () => {
      source.close()
      clearTimeout(timer)
      setLive(false)
    }
  }, [path])
  return live
}
