-- Moves a job from rest into a room.
-- KEYS[1]  room it goes to
-- KEYS[2]  set it rests in
-- ARGV     id, group, limit, gift, delayMs, shrink ("1" drops the request), then the patch (field, value …)
-- Returns "woken"; "absent" when it does not rest there; "unknown" when there is no such job.
local id, group, limit, gift, delay, shrink = unpack(ARGV)
if redis.call("ZREM", KEYS[2], id) == 0 then
  return redis.call("EXISTS", state_key(id), request_key(id)) == 0 and "unknown" or "absent"
end
patch(id, 7)
if shrink == "1" then redis.call("DEL", request_key(id)) end
enqueue(KEYS[1], id, group, limit, gift, now + delay)
return "woken"
