-- Accepts jobs. Repeated, it changes nothing.
-- KEYS[1]  room
-- ARGV     how many jobs may be pending in the room (0: any number), then of each job ten values: id, request, group,
--          terms ("<limit>[@<rate>/<burst>]"), gift, delayMs, ms since the epoch before which it must not start (0: at once), priority (0: none),
--          idempotency key ("": none), fingerprint of what was asked for
-- Returns  of each job its id and "added"; the id that was given before and "known", when it was there already;
--          "" and "conflict", when its key came with another request; "" and "full"
local ARGS = 10
local KEY_MS = 24 * 60 * 60 * 1000
-- A priority moves a job before what came in the three years before it, and so leaves the order within a priority.
local AHEAD_MS = 1e11
-- What is accepted together keeps its order. Finer than that a double cannot be at this height.
local TICK_MS = 1 / 4096

local most = tonumber(ARGV[1])
local jobs = (#ARGV - 1) / ARGS
local reply = {}
local function answer(id, what)
  reply[#reply + 1] = id
  reply[#reply + 1] = what
end

for i = 1, jobs do
  local id, request, group, terms, gift, delay, not_before, priority, key, fingerprint =
    unpack(ARGV, (i - 1) * ARGS + 2, i * ARGS + 1)
  local used = key ~= "" and redis.call("GET", prefix .. "idempotency:" .. key)
  if redis.call("EXISTS", request_key(id), state_key(id)) > 0 then -- delivery drops the request
    answer(id, "known")
  elseif used then
    local before, same = string.match(used, "^(%S+) (%S+)$")
    if same == fingerprint then answer(before, "known") else answer("", "conflict") end
  elseif most > 0 and tonumber(redis.call("HGET", KEYS[1], "pending") or "0") >= most then
    answer("", "full")
  else
    local at = now + delay - (jobs - i) * TICK_MS
    if tonumber(not_before) > at then
      at = not_before
    else
      at = at - priority * AHEAD_MS
    end
    redis.call("SET", request_key(id), request)
    -- elsewhere the first claim takes it from the place in the queue
    if not_before ~= "0" or priority ~= "0" then redis.call("HSET", state_key(id), "created", now) end
    if key ~= "" then redis.call("SET", prefix .. "idempotency:" .. key, id .. " " .. fingerprint, "PX", KEY_MS) end
    redis.call("HINCRBY", prefix .. "totals", "accepted", 1)
    enqueue(KEYS[1], id, group, terms, gift, at)
    answer(id, "added")
  end
end
return reply
