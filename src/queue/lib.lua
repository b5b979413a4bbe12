-- What the room's scripts share; put in front of each of them when they are loaded.
--
-- KEYS[1] is the room, `{prefix}:<room>`, a hash:
--   limit    of groups whose jobs bring none
--   pending  how many jobs are pending in it
--   seq      how many claim calls gave jobs
--   server   run id of the Redis server that the last call ran on
--   opens, since  while it is closed: until when, and because of what happened when (0: because data is missing)
-- All other keys of the room are that name and a suffix, so they live in its hash slot:
--   :line            zset    groups that can run now: position in the line
--   :due             zset    groups that can run later: ms since the epoch
--   :groups          hash    every group that exists: "<limit> <gift>", as its first job gave them
--   :overrides       hash    what an operator set: JSON {limit?, paused?}; outlives the group
--   :holds           hash    groups that may not start anything before: ms since the epoch
--   :pending:<group> zset    job ids: when they may start, ms since the epoch
--   :claimed:<group> set     job ids that run
--   :left:<group>    set     those of them that count against the group's limit no more
--   :leases          zset    job ids that run: when their lease ends, ms since the epoch
--   :claims          hash    job ids that run: "<token> <score in pending> <group>"
--   :workers         zset    workers: when they last called, ms since the epoch
--   :call:<worker>   string  "<number> <id> <id> …": the worker's last claim call, to answer it again
-- Beside the rooms, of the deployment:
--   request:<id>     string  the job's immutable request
--   state:<id>       hash    what changes of it
--   totals           hash    accepted, gone
--   rooms            set     names of the rooms that ever had a job
--   imported         set     ids that were taken over from the Go service, for a time
--
-- A group with something pending stands in :line, or in :due, or, while it is full or paused, in neither.

local prefix = string.match(KEYS[1], "^%b{}:")
local time = redis.call("TIME") -- Redis is the one clock of all hosts
local now = time[1] * 1000 + math.floor(time[2] / 1000)

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

-- How many jobs of the group may run at once: what the operator says, or what its first job gave, or, where jobs bring
-- no limit, the room's; none while the group is paused. Read once a script: whoever changes it does so before.
local limits = {}
local function limit_of(room, group)
  local name = room .. " " .. group
  if not limits[name] then
    local text = redis.call("HGET", room .. ":overrides", group)
    local operator = text and cjson.decode(text) or {}
    local limit = operator.limit
    if not limit then
      local gift = redis.call("HGET", room .. ":groups", group)
      limit = gift and tonumber(string.match(gift, "^%d+")) or 0
      if limit == 0 then limit = tonumber(redis.call("HGET", room, "limit") or "1") end
    end
    limits[name] = operator.paused and 0 or limit
  end
  return limits[name]
end

-- How many more jobs of the group may start now. Not above 0 when it is full or paused.
local function places_in(room, group)
  local running = redis.call("SCARD", room .. ":claimed:" .. group) - redis.call("SCARD", room .. ":left:" .. group)
  return limit_of(room, group) - running
end

-- From when on, in ms since the epoch, the group may start something; nothing while it is full, paused or empty.
local function startable_from(room, group)
  local first = redis.call("ZRANGE", room .. ":pending:" .. group, 0, 0, "WITHSCORES")[2]
  if not first or places_in(room, group) <= 0 then return nil end
  return math.max(tonumber(first), tonumber(redis.call("HGET", room .. ":holds", group) or "0"))
end

-- Puts a group where it belongs: into the line, among those that are due later, or nowhere. Every script that changes
-- what decides this (the pending jobs, the claims, a limit, a hold) ends with it.
local function stand(room, group)
  local line, due = room .. ":line", room .. ":due"
  local at = startable_from(room, group)
  if not at then
    redis.call("ZREM", line, group)
    redis.call("ZREM", due, group)
    if redis.call("EXISTS", room .. ":pending:" .. group, room .. ":claimed:" .. group) == 0 then
      redis.call("HDEL", room .. ":groups", group)
      redis.call("HDEL", room .. ":holds", group)
    end
  elseif at > now then
    local first = redis.call("ZRANGE", due, 0, 0, "WITHSCORES")[2]
    redis.call("ZREM", line, group)
    redis.call("ZADD", due, at, group)
    -- the idle sleep until the first due time that they know of
    if not first or at < tonumber(first) then ring(room) end
  elseif not redis.call("ZSCORE", line, group) then
    redis.call("ZREM", due, group)
    local last = redis.call("ZREVRANGE", line, 0, 0, "WITHSCORES")[2]
    redis.call("ZADD", line, last and last + 1 or 0, group)
    if not last then announce(room) end
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

-- Makes a job pending. A group that does not exist yet begins with this job's limit and gift.
local function enqueue(room, id, group, limit, gift, at)
  redis.call("HSETNX", room .. ":groups", group, limit .. " " .. gift)
  pend(room, id, group, at)
  advance(room, group)
end

-- The claim of a job: its token, its score when it was pending, its group. Nothing when nobody holds it.
local function claim_of(room, id)
  local claim = redis.call("HGET", room .. ":claims", id)
  if not claim then return nil end
  return string.match(claim, "^(%S+) (%S+) (.*)$")
end

-- Ends a claim; the caller puts the job elsewhere and then lets the group stand.
local function release(room, id, group)
  redis.call("HDEL", room .. ":claims", id)
  redis.call("ZREM", room .. ":leases", id)
  redis.call("SREM", room .. ":claimed:" .. group, id)
  redis.call("SREM", room .. ":left:" .. group, id)
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
-- Returns for how many more ms to ask for nothing; 0 when the room is open.
local LONGEST_SILENCE_MS = 12000 -- after which a worker has noticed that its connection is dead, and made a new one
local RETURN_MS = 2000 -- after which a worker that lost its connection has made a new one, and called
local function closed_for(room, worker, seen, lease)
  local info = redis.pcall("INFO", "server") -- an ACL may forbid it: then nothing can be known
  local run = type(info) == "string" and string.match(info, "run_id:(%w+)") or ""
  local server, seq, opens, since = unpack(redis.call("HMGET", room, "server", "seq", "opens", "since"))
  local workers = room .. ":workers"
  local added = redis.call("ZADD", workers, now, worker)
  if tonumber(seen) > tonumber(seq or "0") then
    opens, since = now + lease, 0
    redis.call("HSET", room, "server", run, "seq", seen, "opens", opens, "since", since)
  elseif server ~= run then
    redis.call("HSET", room, "server", run)
    if server and redis.call("ZCARD", workers) > added then -- those that stop take themselves out
      opens, since = math.max(opens or 0, now + math.min(lease, LONGEST_SILENCE_MS)), now
      redis.call("HSET", room, "opens", opens, "since", since)
      redis.call("ZREMRANGEBYSCORE", workers, "-inf", now - 10 * lease)
    end
  end
  if not opens then return 0 end

  opens, since = tonumber(opens), tonumber(since)
  local left = opens - now
  if left > 0 and since == 0 then return left end
  local returning = since + math.min(lease, RETURN_MS) - now
  if left > 0 and returning > 0 then return returning end
  if left > 0 and redis.call("ZCOUNT", workers, now - lease, "(" .. since) > 0 then return math.min(left, 1000) end
  redis.call("HDEL", room, "opens", "since")
  ring(room)
  return 0
end
