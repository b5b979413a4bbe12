-- Ends a claim: checks its token, patches the job's state and moves the job on. Repeated, it is answered as it was.
-- KEYS[1]  room of the claim
-- KEYS[2]  kind "room": the room it goes to; kind "rest": the set it rests in; else the room of the claim again
-- ARGV     id, token, kind, holdMs of the group that it leaves, then by kind, then the patch (field, value …)
--          "room"   group, limit, gift, delayMs, shrink ("1" drops the request)
--          "again"  delayMs
--          "back"   (the old place)
--          "rest"
--          "gone"
-- Returns "settled"; "lost" when somebody else has the job; "gone" when nobody has it any more.
local room, target = KEYS[1], KEYS[2]
local id, token, kind, hold = unpack(ARGV, 1, 4)

local holder, score, group = claim_of(room, id)
if holder ~= token then
  if redis.call("HGET", state_key(id), "settled") == token then return "settled" end
  if redis.call("EXISTS", state_key(id), request_key(id)) == 0 then return "gone" end
  return "lost"
end

release(room, id, group)
if kind == "gone" then
  redis.call("DEL", request_key(id), state_key(id))
  redis.call("HINCRBY", prefix .. "totals", "gone", 1)
elseif kind == "again" then
  patch(id, 6)
  pend(room, id, group, now + ARGV[5])
elseif kind == "back" then
  patch(id, 5)
  pend(room, id, group, score)
elseif kind == "rest" then
  patch(id, 5)
  redis.call("HDEL", state_key(id), "stalls")
  lay_to_rest(target, id)
else
  patch(id, 10)
  redis.call("HDEL", state_key(id), "stalls")
  if ARGV[9] == "1" then redis.call("DEL", request_key(id)) end
  enqueue(target, id, ARGV[5], ARGV[6], ARGV[7], now + ARGV[8])
end
if kind ~= "gone" then redis.call("HSET", state_key(id), "settled", token) end
if tonumber(hold) > 0 and now + hold > tonumber(redis.call("HGET", room .. ":holds", group) or "0") then
  redis.call("HSET", room .. ":holds", group, now + hold)
  stand(room, group)
else
  advance(room, group)
end
return "settled"
