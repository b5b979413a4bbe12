-- Ends a claim: checks its token, patches the job's state and moves the job on. Repeated, it is answered as it was.
-- KEYS[1]  room of the claim
-- KEYS[2]  kind "room": the room it goes to; kind "rest": the set it rests in; else the room of the claim again
-- ARGV     id, token, kind, holdMs of the group that it leaves, host: only that is held (or ""), what the attempt says of
--          the host: "ok", "throttled", "down" or "" (judge.lua); then by kind, then the patch (field, value …)
--          "room"   group, terms, gift, delayMs, shrink ("1" drops the request)
--          "again"  delayMs
--          "back"   (the old place)
--          "rest"
--          "gone"
-- Returns "settled", or "settled slowed|opened|closed" when that has just become of the host; "lost" when somebody else has
--          the job; "gone" when nobody has it any more.
local room, target = KEYS[1], KEYS[2]
local id, token, kind, hold, host, says = unpack(ARGV, 1, 6)
hold = tonumber(hold)

local holder, score, group, asked, began = claim_of(room, id)
if holder ~= token then
  if redis.call("HGET", state_key(id), "settled") == token then return "settled" end
  if redis.call("EXISTS", state_key(id), request_key(id)) == 0 then return "gone" end
  return "lost"
end

release(room, id, group, asked)
if kind == "gone" then
  redis.call("DEL", request_key(id), state_key(id))
  redis.call("HINCRBY", prefix .. "totals", "gone", 1)
elseif kind == "again" then
  patch(id, 8)
  pend(room, id, group, now + ARGV[7])
elseif kind == "back" then
  patch(id, 7)
  pend(room, id, group, score)
elseif kind == "rest" then
  patch(id, 7)
  redis.call("HDEL", state_key(id), "stalls")
  lay_to_rest(target, id)
else
  patch(id, 12)
  redis.call("HDEL", state_key(id), "stalls")
  if ARGV[11] == "1" then redis.call("DEL", request_key(id)) end
  enqueue(target, id, ARGV[7], ARGV[8], ARGV[9], now + ARGV[10])
end
if kind ~= "gone" then redis.call("HSET", state_key(id), "settled", token) end
if host ~= "" then
  -- a priority moves a job ahead by a multiple of 1e11 ms, see add.lua
  local event = judge(room, group, host, says, id, tonumber(began), (now - score) % 1e11, hold)
  stand(room, group)
  if event then return "settled " .. event end
elseif hold > 0 and now + hold > tonumber(redis.call("HGET", room .. ":holds", group) or "0") then
  redis.call("HSET", room .. ":holds", group, now + hold)
  stand(room, group)
else
  advance(room, group)
end
return "settled"
