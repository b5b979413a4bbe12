-- What the room's scripts share; put in front of each of them when they are loaded.
--
-- KEYS[1] is the room, `{prefix}:<room>`, a hash:
--   limit    of groups whose jobs bring none
--   pending  how many jobs are pending in it
--   seq      how many claim calls gave jobs
--   server   run id of the Redis server that the last call ran on
--   forgot   when that was another one for the first time: what began before, and how much, it may not know
--   host_limit  requests at once to a host, from all groups; absent: no limit
--   opens, since  while it is closed: until when, and because of what happened when (0: because data is missing)
-- All other keys of the room are that name and a suffix, so they live in its hash slot:
--   :line            zset    what can be served now, a group or "\0<host>": position in the line
--   :due             zset    what can be served later, a group, "\0<host>" or a lane: ms since the epoch
--   :groups          hash    every group that exists: "<limit>[@<rate>/<burst>][+] <gift>", as its first job gave them;
--                            + while it has lanes
--   :overrides       hash    what an operator set: JSON {limit?, paused?, rate?, burst?}; outlives the group
--   :holds           hash    groups that may not start anything before: ms since the epoch
--   :pace:<group>    string  of a group with a rate: when all its burst will be there again, ms since the epoch
--   :pending:<group> zset    job ids: when they may start, ms since the epoch
--   :pending:<lane>  zset    the same, of the jobs in a lane
--   :claimed:<group> set     job ids that run
--   :left:<group>    set     those of them that count against the group's limit no more
--   :leases          zset    job ids that run: when their lease ends, ms since the epoch
--   :claims          hash    job ids that run: "<token> <score in pending> <group>[\0<host>\0<ms when it began>]"
--   :workers         zset    workers: when they last called, ms since the epoch
--   :call:<worker>   string  "<number> <id> <id> …": the worker's last claim call, to answer it again
-- lanes.lua has those of hosts. Beside the rooms, of the deployment:
--   request:<id>     string  the job's immutable request
--   state:<id>       hash    what changes of it
--   totals           hash    accepted, gone
--   rooms            set     names of the rooms that ever had a job
--   imported         set     ids that were taken over from the Go service, for a time
--
-- A group with something pending stands in :line, or in :due, or, while it is full or paused, in neither.

local prefix = string.match(KEYS[1], "^%b{}:")
local time = redis.call("TIME") -- Redis is the one clock of all hosts
local exactly = time[1] * 1000 + time[2] / 1000
local now = math.floor(exactly)

local function request_key(id) return prefix .. "request:" .. id end
local function state_key(id) return prefix .. "state:" .. id end

-- Wakes the idle workers of a room.
local function ring(room)
  redis.call("PUBLISH", room .. ":bell", "")
end

-- What a claim puts into the line it may take out again: it rings at its end, for what is left (claim.lua sets `claiming`).
local claiming, unannounced = false, false
local function announce(room)
  if claiming then unannounced = true else ring(room) end
end

-- What stands for a group, read once a script (whoever changes it does so before): how many of its jobs may run at once,
-- as the operator says, or as its first job gave, or, where jobs bring none, the room's; none while it is paused. Where
-- it has a rate: its interval, and how far ahead of it the group may be, both in ms.
local known_terms = {}
local function terms_of(room, group)
  local name = room .. " " .. group
  if known_terms[name] then return known_terms[name] end
  local text = redis.call("HGET", room .. ":overrides", group)
  local operator = text and cjson.decode(text) or {}
  local entry = redis.call("HGET", room .. ":groups", group) or "0 "
  local limit, rate, burst, lanes, gift = string.match(entry, "^(%d+)@?([^/+ ]*)/?(%d*)(%+?) (.*)$")
  limit = operator.limit or tonumber(limit)
  if limit == 0 then limit = tonumber(redis.call("HGET", room, "limit") or "1") end
  if operator.rate then rate, burst = operator.rate, operator.burst or 1 end
  local terms = { limit = operator.paused and 0 or limit, gift = gift, lanes = lanes == "+" }
  rate = tonumber(rate)
  if rate then
    terms.interval = 1000 / math.max(rate, 1e-6)
    terms.ahead = (math.max(tonumber(burst) or 1, 1) - 1) * terms.interval
  end
  known_terms[name] = terms
  return terms
end

-- How many more jobs of the group may start now. Not above 0 when it is full or paused.
local function places_in(room, group)
  local running = redis.call("SCARD", room .. ":claimed:" .. group) - redis.call("SCARD", room .. ":left:" .. group)
  return terms_of(room, group).limit - running
end

-- The ms at which a moment has come; a number of ms since the epoch is good for a quarter of a microsecond.
local function ms_of(moment)
  return moment - 0.001 <= exactly and math.floor(moment - 0.001) or math.ceil(moment - 0.001)
end

-- GCRA: the moment at which the whole burst will be there again moves on by an interval with each start, and may be
-- `ahead` of the clock. So in any time t no more than burst + rate × t start, whoever starts them. What a server may have
-- forgotten counts as a whole burst.
local function pace_of(room, group, terms)
  local full = tonumber(redis.call("GET", room .. ":pace:" .. group) or "0")
  local forgot = tonumber(redis.call("HGET", room, "forgot") or -math.huge)
  return math.max(full, forgot + terms.ahead + terms.interval)
end

local function pace_allows_from(room, group)
  local terms = terms_of(room, group)
  if not terms.interval then return 0 end
  return ms_of(pace_of(room, group, terms) - terms.ahead)
end

local function keep_pace(room, group)
  local terms = terms_of(room, group)
  if not terms.interval then return end
  local full = math.max(pace_of(room, group, terms), exactly) + terms.interval
  -- gone when it says nothing any more: a group that ends and begins anew gets no second burst
  redis.call("SET", room .. ":pace:" .. group, string.format("%.6f", full), "PX", math.ceil(full - now) + 1000)
end

-- From when on, in ms since the epoch, the group as a whole lets jobs start that are due, if it is not full.
local function group_allows_from(room, group)
  local held = tonumber(redis.call("HGET", room .. ":holds", group) or "0")
  return math.max(held, pace_allows_from(room, group))
end

-- From when on, in ms since the epoch, the group may start something; nothing while it is full, paused or empty. And
-- whether there is such a group.
local function startable_from(room, group)
  local first = redis.call("ZRANGE", room .. ":pending:" .. group, 0, 0, "WITHSCORES")[2]
  local lanes, alive = room .. ":lanes:" .. group, 1
  if not first then alive = redis.call("EXISTS", room .. ":claimed:" .. group, lanes, lanes) end -- lanes count twice
  if alive > 1 or first and terms_of(room, group).lanes then
    -- lanes that wait for the group, beside the group's own turn
    if redis.call("ZCOUNT", lanes, 1, "+inf") > 1 then first = 0 end
  end
  if not first or places_in(room, group) <= 0 then return nil, alive > 0 end
  return math.max(tonumber(first), group_allows_from(room, group)), true
end

-- Puts a group, a host or a lane where it belongs: into the line, among those that are due later, or nowhere.
local function put(room, who, at)
  local line, due = room .. ":line", room .. ":due"
  if not at then
    redis.call("ZREM", line, who)
    redis.call("ZREM", due, who)
  elseif at > now then
    local first = redis.call("ZRANGE", due, 0, 0, "WITHSCORES")[2]
    redis.call("ZREM", line, who)
    redis.call("ZADD", due, at, who)
    -- the idle sleep until the first due time that they know of
    if not first or at < tonumber(first) then ring(room) end
  elseif not redis.call("ZSCORE", line, who) then
    redis.call("ZREM", due, who)
    local last = redis.call("ZREVRANGE", line, 0, 0, "WITHSCORES")[2]
    redis.call("ZADD", line, last and last + 1 or 0, who)
    if not last then announce(room) end
  end
end

-- Every script that changes what decides where a group stands (its pending jobs, its claims, a limit, a hold, a lane
-- that waits for it) ends with this.
local function stand(room, group)
  local at, alive = startable_from(room, group)
  put(room, group, at)
  if not alive then
    redis.call("HDEL", room .. ":groups", group)
    redis.call("HDEL", room .. ":holds", group)
  end
end

-- The same after what can only help a group: one more pending job, one claim less. In the line it cannot get further.
local function advance(room, group)
  if not redis.call("ZSCORE", room .. ":line", group) then stand(room, group) end
end

-- Makes a job pending in a group that exists; the caller then lets the group stand.
local function pend(room, id, group, at)
  local added = redis.call("ZADD", room .. ":pending:" .. group, at, id)
  if redis.call("HINCRBY", room, "pending", added) == 1 then
    redis.call("SADD", prefix .. "rooms", string.sub(room, #prefix + 1))
  end
end

-- Makes a job pending. A group that does not exist yet begins with this job's terms, "<limit>[@<rate>/<burst>]", and gift.
local function enqueue(room, id, group, terms, gift, at)
  redis.call("HSETNX", room .. ":groups", group, terms .. " " .. gift)
  pend(room, id, group, at)
  advance(room, group)
end

-- Writes the flat fields from ARGV[first] on into the job's state.
local function patch(id, first)
  if ARGV[first] then redis.call("HSET", state_key(id), unpack(ARGV, first)) end
end

-- A server that takes over, or that starts again, may lack the last claims: the places of their groups would be given
-- away a second time. So, when the server is another one, the room stays closed until every worker that called lately
-- has called again, for whoever was given more than the server knows of says so by `seen`; and for RETURN_MS in any
-- case, because the first call of a worker may be lost, too. Once a loss is known the room stays closed for a lease: by
-- its end nobody works any more on a claim that was lost.
-- Returns for how many more ms to ask for nothing, or 0 when the room is open; and the limit of hosts that was set last.
local LONGEST_SILENCE_MS = 12000 -- after which a worker has noticed that its connection is dead, and made a new one
local RETURN_MS = 2000 -- after which a worker that lost its connection has made a new one, and called
local function closed_for(room, worker, seen, lease)
  local info = redis.pcall("INFO", "server") -- an ACL may forbid it: then nothing can be known
  local run = type(info) == "string" and string.match(info, "run_id:(%w+)") or ""
  local server, seq, opens, since, per_host =
    unpack(redis.call("HMGET", room, "server", "seq", "opens", "since", "host_limit"))
  local workers = room .. ":workers"
  local added = redis.call("ZADD", workers, now, worker)
  if tonumber(seen) > tonumber(seq or "0") then
    opens, since = now + lease, 0
    redis.call("HSET", room, "server", run, "seq", seen, "opens", opens, "since", since, "forgot", now)
  elseif server ~= run then
    redis.call("HSET", room, "server", run)
    if server then redis.call("HSET", room, "forgot", now) end
    if server and redis.call("ZCARD", workers) > added then -- those that stop take themselves out
      opens, since = math.max(opens or 0, now + math.min(lease, LONGEST_SILENCE_MS)), now
      redis.call("HSET", room, "opens", opens, "since", since)
      redis.call("ZREMRANGEBYSCORE", workers, "-inf", now - 10 * lease)
    end
  end
  if not opens then return 0, per_host end

  opens, since = tonumber(opens), tonumber(since)
  local left = opens - now
  if left > 0 and since == 0 then return left end
  local returning = since + math.min(lease, RETURN_MS) - now
  if left > 0 and returning > 0 then return returning end
  if left > 0 and redis.call("ZCOUNT", workers, now - lease, "(" .. since) > 0 then return math.min(left, 1000) end
  redis.call("HDEL", room, "opens", "since")
  ring(room)
  return 0, per_host
end
