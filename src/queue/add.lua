-- Accepts a job. Repeated, it changes nothing.
-- KEYS[1]  room
-- ARGV     id, request, group, limit, gift, delayMs
-- Returns 1, or 0 when the job was there already.
local id, request, group, limit, gift, delay = unpack(ARGV)
if redis.call("EXISTS", request_key(id), state_key(id)) > 0 then return 0 end -- delivery drops the request
redis.call("SET", request_key(id), request)
redis.call("HINCRBY", prefix .. "totals", "accepted", 1)
enqueue(KEYS[1], id, group, limit, gift, now + delay)
return 1
