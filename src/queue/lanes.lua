-- Hosts and lanes; put behind lib.lua in front of each of the room's scripts.
--
-- A host that is slowed, because it asked for it, is down or has its limit, must not stop the rest of its groups. So its
-- jobs are moved, when their turn comes, out of their group's own pending jobs into a lane, "<group>\0<host>". A lane
-- that has jobs waits for one thing at a time:
--
--        its first job is not due yet,        the host may not          the group is full, or held
--        or the group's host is held          start anything            or ahead of its rate
--              :due ──────────────────▶ :queue:<host> ◀──────────────▶ :lanes:<group>
--
-- Whoever comes up in the line, a host or a group, takes the first lane that waits for it, and starts a job of it, or
-- lets it wait for the other. Nothing is ever looked through for something that can start.
--
--   :hosts           zset    hosts in trouble: when that is forgotten, ms since the epoch
--   :open            zset    those of them whose circuit breaker is open: the same
--   :host:<host>     hash    what is known of one; gone when it is forgotten (judge.lua)
--   :hold:<lane>     string  until when the host may not be asked by this group, ms since the epoch
--   :late:<host>     string  "<from> <until> <group>": a lane that it had to pass over, see late_at
--   :running:<host>  set     ids of jobs that ask it for something; counted while hosts have a limit
--   :queue:<host>    zset    groups whose lanes wait for it: position
--   :lanes:<group>   zset    hosts that have a lane in the group: position, or 0 while it does not wait for the group;
--                            "" is the group's own turn
--   :waiting         hash    groups that have lanes: how many jobs are in them

-- The host that a job asks, from its packed request: as in src/jobs/host.ts.
local function host_asked(request)
  local _, before = string.find(request or "", ',"u":"', 1, true)
  local authority = before and string.match(request, '^%a[%w+.-]*://([^/?#\\"]*)', before + 1) or ""
  return string.lower(string.match(authority, "[^@]*$"))
end

local FIELDS = { "fails", "opens", "pause", "probe", "tried", "base", "since", "good", "gap", "full", "cut", "doubt", "from", "oks", "seen", "held" }
local known_hosts = {}
local function host_state(room, host)
  local name = room .. " " .. host
  if known_hosts[name] then return known_hosts[name] end
  local state = {}
  for i, value in ipairs(redis.call("HMGET", room .. ":host:" .. host, unpack(FIELDS))) do
    if value then state[FIELDS[i]] = FIELDS[i] == "probe" and value or tonumber(value) end
    state.known = state.known or value
  end
  known_hosts[name] = state
  return state
end

-- Requests at once to a host, from all groups; 0: as many as there are.
local host_limit
local function host_limit_of(room)
  host_limit = host_limit or tonumber(redis.call("HGET", room, "host_limit") or "0")
  return host_limit
end

local UNLIMITED = 10000 -- a second: who takes so many is not slow
local PROBING_MS = 5000
-- How many requests a second the host gets now, or nothing where it gets all. Doubles each second from `base`, up to
-- just below the last good rate; stays there for `gap`, then probes, very gently at first (like CUBIC, RFC 9438).
local function rate_of(state)
  if not state.base then return nil end
  local elapsed = math.max(0, now - state.since)
  local rate = state.base * 2 ^ math.min(elapsed / 1000, 30)
  if state.good then
    local probing = math.max(0, elapsed - state.gap) / PROBING_MS
    rate = math.min(rate, state.good * (0.97 + 0.03 * probing ^ 3))
  else -- nothing is known: no faster than what comes back, however long nobody asked
    rate = math.min(rate, 2.5 * math.max(state.seen or 0, state.base))
  end
  return rate < UNLIMITED and math.max(rate, 0.1) or nil
end

-- The same as a group's pace, with a burst of a tenth of a second.
local function host_pace_allows_from(state)
  local rate = rate_of(state)
  if not rate or not state.full then return 0 end
  return ms_of(state.full - math.max(0, 100 - 1000 / rate))
end

-- A lane whose group is full whenever its host is free, and the other way round, would wait for ever. So a host remembers
-- one that it had to pass over. From `from` on, when that one did not start meanwhile, it keeps a place for it, until `to`
-- at the longest; not again soon, for the place may stay empty, and next time for another one, if there is one.
local LATE_MS, KEPT_MS, REST_MS = 30000, 5000, 45000
local known_late = {}
local function late_at(room, host)
  local name = room .. " " .. host
  if known_late[name] == nil then
    local text = redis.call("GET", room .. ":late:" .. host) or ""
    local from, to, group = string.match(text, "^(%d+) (%d+) (.*)$")
    known_late[name] = from and { from = tonumber(from), to = tonumber(to), group = group } or false
  end
  return known_late[name]
end

local function note_late(room, host, group, from, to)
  known_late[room .. " " .. host] = { from = from, to = to, group = group }
  local text = string.format("%d %d %s", from, to, group)
  redis.call("SET", room .. ":late:" .. host, text, "PX", from - now + 600000)
end

local function forget_late(room, host)
  known_late[room .. " " .. host] = false
  redis.call("DEL", room .. ":late:" .. host)
end

local PROBE_MS = 10000
-- From when on, in ms since the epoch, the host may be asked by the group, or, without one, by any; nothing while
-- something must end before.
local function host_allows_from(room, host, group)
  local limit = host_limit_of(room)
  local places = limit > 0 and limit - redis.call("SCARD", room .. ":running:" .. host) or 1
  if places <= 0 then return nil end
  local state = host_state(room, host)
  local from = 0
  local scarce = limit > 0 and places == 1 or rate_of(state)
  local late = scarce and late_at(room, host)
  local kept = late and late.to > now and late.to <= now + KEPT_MS -- the clock may have gone back
  if kept and late.group ~= group then from = late.to end
  if state.opens then
    from = math.max(from, state.opens)
    -- half-open: one at a time, and another beside one that takes long
    local tries = state.asked or state.probe and redis.call("HEXISTS", room .. ":claims", state.probe) == 1
    if tries then from = math.max(from, (state.tried or 0) + PROBE_MS) end
  end
  return math.max(from, host_pace_allows_from(state))
end

-- Its rate has one start less; returns from when on that may be.
local function take_host_turn(room, host)
  local state = host_state(room, host)
  local rate, from = rate_of(state), host_pace_allows_from(state)
  if not rate then return 0 end
  state.full = math.max(state.full or 0, exactly) + 1000 / rate
  redis.call("HSET", room .. ":host:" .. host, "full", string.format("%.6f", state.full))
  return from
end

-- A job of the host starts.
local function ask_host(room, host, id)
  local state = host_state(room, host)
  if host_limit_of(room) > 0 then redis.call("SADD", room .. ":running:" .. host, id) end
  if state.opens then
    state.probe, state.tried, state.asked = id, now, true
    redis.call("HSET", room .. ":host:" .. host, "probe", id, "tried", now)
  end
  take_host_turn(room, host)
end

local function lane_of(group, host) return group .. "\0" .. host end

-- Until when the host may not be asked by this group.
local function held_until(room, group, host)
  if (host_state(room, host).held or 0) <= now then return 0 end -- nor by any other
  return tonumber(redis.call("GET", room .. ":hold:" .. lane_of(group, host)) or "0")
end

local function stand_host(room, host)
  local waiting = redis.call("EXISTS", room .. ":queue:" .. host) == 1
  put(room, "\0" .. host, waiting and host_allows_from(room, host) or nil)
end

-- Group and host of a lane; nothing for a group.
local function lane_parts(who) return string.match(who, "^([^%z]+)%z(.+)$") end

local function next_turn(key)
  return (redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")[2] or 0) + 1
end

-- Notes in the group's entry whether it has lanes: so nobody else needs to ask.
local function note_lanes(room, group, lanes)
  local entry = redis.call("HGET", room .. ":groups", group) or "0 "
  local given, gift = string.match(entry, "^([^+ ]*)%+?( .*)$")
  redis.call("HSET", room .. ":groups", group, given .. (lanes and "+" or "") .. gift)
  terms_of(room, group).lanes = lanes
end

local function close_lane(room, group, host)
  local lanes, late = room .. ":lanes:" .. group, late_at(room, host)
  if late and late.group == group then forget_late(room, host) end
  put(room, lane_of(group, host), nil)
  redis.call("ZREM", room .. ":queue:" .. host, group)
  redis.call("ZREM", lanes, host)
  if redis.call("ZCARD", lanes) <= 1 then -- what is left is the group's own turn
    redis.call("DEL", lanes)
    redis.call("HDEL", room .. ":waiting", group)
    note_lanes(room, group, false)
  end
end

local function wait_for_host(room, group, host)
  local queue = room .. ":queue:" .. host
  redis.call("ZADD", room .. ":lanes:" .. group, 0, host)
  redis.call("ZADD", queue, next_turn(queue), group)
  stand_host(room, host)
end

local function wait_for_group(room, group, host)
  local lanes = room .. ":lanes:" .. group
  redis.call("ZREM", room .. ":queue:" .. host, group)
  redis.call("ZADD", lanes, next_turn(lanes), host)
  stand(room, group)
end

-- Whether the group's jobs go through a proxy: then nothing is known of their host, but that it asked them to wait.
local function goes_round(room, group) return terms_of(room, group).gift ~= "" end

-- Lets a lane wait for what it has to wait for first, whatever it waited for before. Ends it when it is empty; the
-- caller then lets the group stand.
local function place_lane(room, group, host)
  local first = redis.call("ZRANGE", room .. ":pending:" .. lane_of(group, host), 0, 0, "WITHSCORES")[2]
  if not first then return close_lane(room, group, host) end
  local at = math.max(tonumber(first), held_until(room, group, host))
  if at <= now then
    redis.call("ZREM", room .. ":due", lane_of(group, host))
    local wait = goes_round(room, group) and wait_for_group or wait_for_host
    return wait(room, group, host)
  end
  redis.call("ZREM", room .. ":queue:" .. host, group)
  redis.call("ZADD", room .. ":lanes:" .. group, 0, host)
  put(room, lane_of(group, host), at)
end

-- Whether a job of the group has to go into its host's lane instead of starting.
local function must_wait(room, group, host)
  if redis.call("EXISTS", room .. ":pending:" .. lane_of(group, host)) == 1 then return true end
  if held_until(room, group, host) > now then return true end
  local from = goes_round(room, group) and 0 or host_allows_from(room, host, group)
  return not from or from > now
end

-- Moves a job that was taken out of its group's own pending jobs into its host's lane.
local function move_to_lane(room, id, score, group, host)
  local lane, lanes = lane_of(group, host), room .. ":lanes:" .. group
  redis.call("ZADD", room .. ":pending:" .. lane, score, id)
  redis.call("HINCRBY", room .. ":waiting", group, 1)
  if not terms_of(room, group).lanes then
    redis.call("ZADD", lanes, 1, "")
    note_lanes(room, group, true)
  end
  -- where it stands already it comes up in time, unless it waits for a job that is due later
  if redis.call("ZADD", lanes, "NX", 0, host) == 1 or redis.call("ZSCORE", room .. ":due", lane) then
    place_lane(room, group, host)
  end
end

-- The claim of a job: its token, its score when it was pending, its group, and, of a host that is watched or limited, the
-- host and when it began ("" else). Nothing when nobody holds it.
local function claim_of(room, id)
  local claim = redis.call("HGET", room .. ":claims", id)
  if not claim then return nil end
  return string.match(claim, "^(%S+) (%S+) ([^%z]*)%z?([^%z]*)%z?(.*)$")
end

-- The job asks its host for nothing any more.
local function leave_host(room, id, host)
  if host == "" then return end
  redis.call("SREM", room .. ":running:" .. host, id)
  stand_host(room, host)
end

-- Ends a claim; the caller puts the job elsewhere and then lets the group stand.
local function release(room, id, group, host)
  redis.call("HDEL", room .. ":claims", id)
  redis.call("ZREM", room .. ":leases", id)
  redis.call("SREM", room .. ":claimed:" .. group, id)
  redis.call("SREM", room .. ":left:" .. group, id)
  leave_host(room, id, host)
end

-- Takes a job out of the pending ones of a group or of a lane. Returns whether it was there.
local function take_from_pending(room, id, where)
  if redis.call("ZREM", room .. ":pending:" .. where, id) == 0 then return false end
  redis.call("HINCRBY", room, "pending", -1)
  local group, host = lane_parts(where)
  if group then
    redis.call("HINCRBY", room .. ":waiting", group, -1)
    place_lane(room, group, host)
    stand_host(room, host)
  end
  stand(room, group or where)
  return true
end
