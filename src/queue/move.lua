-- Moves a job that nobody works on.
-- KEYS[1]  where it is: the room it is pending in, or the set it rests in
-- KEYS[2]  where it goes: kind "room": a room, kind "rest": a set, kind "gone": the same as KEYS[1]
-- ARGV     id, group or lane it is pending in ("": it rests), kind, then by kind, then the patch (field, value …)
--          "room"  group, terms, gift, delayMs, shrink ("1" drops the request)
--          "rest"
--          "gone"
-- Returns  "moved"; "absent" when it is not there; "unknown" when there is no such job.
local from, target = KEYS[1], KEYS[2]
local id, group, kind = unpack(ARGV, 1, 3)

if group == "" then
  if not take_from_rest(from, id) then
    return redis.call("EXISTS", state_key(id), request_key(id)) == 0 and "unknown" or "absent"
  end
else
  if not take_from_pending(from, id, group) then return "absent" end
  redis.call("HDEL", state_key(id), "stalls")
end

if kind == "room" then
  patch(id, 9)
  if ARGV[8] == "1" then redis.call("DEL", request_key(id)) end
  enqueue(target, id, ARGV[4], ARGV[5], ARGV[6], now + ARGV[7])
elseif kind == "rest" then
  patch(id, 4)
  lay_to_rest(target, id)
else
  redis.call("DEL", request_key(id), state_key(id))
  redis.call("HINCRBY", prefix .. "totals", "gone", 1)
end
return "moved"
