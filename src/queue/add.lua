-- Accepts a job. Repeated, it changes nothing.
-- KEYS[1]  room
-- ARGV     id, request, group, limit, gift, delayMs
-- Returns 1, or 0 when the job was there already.
local id, request, group, limit, gift, delay = unpack(ARGV)
if redis.call("SETNX", request_key(id), request) == 0 then return 0 end
redis.call("HINCRBY", prefix .. "totals", "accepted", 1)
enqueue(KEYS[1], id, group, limit, gift, now + delay)
return 1
