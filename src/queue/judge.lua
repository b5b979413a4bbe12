-- What an attempt says of its host, and what follows; put behind lanes.lua in front of settle.lua.
--
-- :host:<host> is a hash; an hour after the last trouble it is gone:
--   fails   how often in a row the host was down
--   opens   while the circuit breaker is open: until when nothing starts, ms since the epoch; from then on it is half-open
--   pause   and for how long it opened last, ms
--   probe, tried   half-open: id of the one job that tries, and since when, ms since the epoch
--   base, since, good, gap   the rate, see rate_of: how many a second, from when on, ms; the last good rate; ms until it is
--           probed above it
--   full    as :pace:<group>
--   doubt   how much speaks for its being asked too fast
--   cut     when the rate was lowered last, ms since the epoch
--   from, oks, seen   since when how many answers came, ms since the epoch; how many a second there were just before
--   held    until when some group may not ask it, ms since the epoch

local FORGET_MS = 3600000
local FAILS = 10 -- in a row open the breaker
local OPEN_MS, LONGEST_OPEN_MS = 5000, 300000
local PATIENCE_MS = 3600000 -- so long a job waits for a host that is down
-- Found by simulation, see docs/politeness.md.
local START_RATE = 1
local CUT, SOFT_CUT = 0.7, 0.85
-- A few refusals that come by chance, whatever the rate, are no reason to slow down: a refusal counts 1, another answer
-- takes TOLERATED back (a CUSUM test), and at DOUBTS it is too fast. So 3 % refused hardly ever are, 10 % soon.
local TOLERATED, DOUBTS = 0.06, 4
local GAP_MS, LONGEST_GAP_MS = 10000, 300000
local WINDOW_MS, LONGEST_WINDOW_MS, WINDOW_OKS = 1000, 4000, 5

local function note(room, host, changes)
  local state, key = host_state(room, host), room .. ":host:" .. host
  for field, value in pairs(changes) do
    if value then redis.call("HSET", key, field, value) else redis.call("HDEL", key, field) end
    state[field] = value or nil
  end
  state.known = true
end

-- To be called last: a key that expires must be there.
local function remember(room, host)
  if host_state(room, host).opens then redis.call("ZADD", room .. ":open", now + FORGET_MS, host) end
  redis.call("PEXPIRE", room .. ":host:" .. host, FORGET_MS)
  redis.call("ZADD", room .. ":hosts", now + FORGET_MS, host)
end

local function hold_host(room, group, host, until_ms)
  if until_ms <= held_until(room, group, host) then return end
  note(room, host, { held = math.max(until_ms, host_state(room, host).held or 0) })
  redis.call("SET", room .. ":hold:" .. lane_of(group, host), until_ms, "PX", until_ms - now)
  remember(room, host)
  if redis.call("EXISTS", room .. ":pending:" .. lane_of(group, host)) == 1 then place_lane(room, group, host) end
end

-- It answers: whatever it says, it is not down.
local function answers(room, host)
  local state = host_state(room, host)
  if state.fails then note(room, host, { fails = false }) end
  if not state.opens then return nil end
  note(room, host, {
    opens = false, pause = false, probe = false, tried = false,
    base = START_RATE, since = now, from = now, oks = 0, seen = false,
  })
  redis.call("ZREM", room .. ":open", host)
  return "closed"
end

local function count_answer(room, host)
  local state = host_state(room, host)
  if state.doubt then
    local doubt = state.doubt - TOLERATED
    note(room, host, { doubt = doubt > 0 and doubt })
  end
  if not state.base then return end
  if not state.good and not state.cut and now - state.since > 60000 then
    return note(room, host, { base = false }) -- it was down once, and takes everything again
  end
  local oks, span = (state.oks or 0) + 1, now - (state.from or now)
  if span >= WINDOW_MS and oks >= WINDOW_OKS or span >= LONGEST_WINDOW_MS then
    note(room, host, { seen = oks * 1000 / span, from = now, oks = 0 })
  else
    note(room, host, { oks = oks })
  end
end

-- Lowers the rate, once for all that was under way: to just below what came back, where that is known.
local function slow_down(room, host, began, hold)
  local state = host_state(room, host)
  if state.cut and ((began or 0) <= state.cut or now - state.cut < 1000) then return nil end
  local doubt = (state.doubt or 0) + 1
  if doubt < DOUBTS then return note(room, host, { doubt = doubt }) end
  local first = not state.base
  local rate, base, good = rate_of(state) or UNLIMITED, START_RATE, state.good
  if not first then
    local span, oks = now - (state.from or now), state.oks or 0
    local lately = span >= WINDOW_MS / 2 and oks >= WINDOW_OKS and oks * 1000 / span or 0
    local delivered = math.max(state.seen or 0, lately)
    if delivered > 0 then
      good = math.min(delivered, rate)
      base = good * CUT
    elseif good and oks > 0 then
      good = good * SOFT_CUT
      base = good * CUT
    else
      base = math.max(0.1, math.min(START_RATE, state.base / 2))
    end
  end
  local gap = state.gap or GAP_MS
  if good and state.good then
    local probed = now - state.since > gap
    if good > state.good * 1.2 then gap = GAP_MS elseif probed then gap = math.min(LONGEST_GAP_MS, gap * 2) end
  end
  local since = now + math.min(hold, 5000)
  note(room, host, {
    base = base, good = good or false, gap = gap, since = since, cut = now, from = since, oks = 0, seen = false,
    doubt = false,
  })
  return first and "slowed" or nil
end

local function fails(room, host, id, began, waited)
  local state = host_state(room, host)
  if state.opens then
    if state.probe ~= id then return nil end
    local pause = math.min(LONGEST_OPEN_MS, (state.pause or OPEN_MS) * 2)
    -- those that have waited for too long try at once, one after the other: all of them shall end
    local opens = waited > PATIENCE_MS and now or now + pause
    note(room, host, { opens = opens, pause = pause, probe = false })
    return nil
  end
  -- of jobs that began before it was watched a success would not have been told
  local count = (state.fails or 0) + (began and 1 or 0)
  note(room, host, { fails = math.max(1, count) })
  if count < FAILS then return nil end
  note(room, host, { opens = now + OPEN_MS, pause = OPEN_MS })
  return "opened"
end

-- Returns what has just become of the host: "slowed", "opened", "closed", or nothing.
local function judge(room, group, host, says, id, began, waited, hold)
  local event
  if says == "down" then
    event = fails(room, host, id, began, waited)
    remember(room, host)
  elseif says == "throttled" then
    event = answers(room, host)
    event = slow_down(room, host, began, hold) or event
    remember(room, host)
  elseif says == "ok" then
    event = answers(room, host)
    count_answer(room, host)
  end
  if hold > 0 then hold_host(room, group, host, now + hold) end
  stand_host(room, host)
  return event
end
