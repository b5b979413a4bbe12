-- Tells whoever runs a job to stop: by a message at once, and with the next extension of its lease in any case.
-- KEYS[1]  room
-- ARGV     id
-- Returns  1, or 0 when nobody runs it.
local id = ARGV[1]
if not claim_of(KEYS[1], id) then return 0 end
redis.call("HSET", state_key(id), "cancelled", "1")
redis.call("PUBLISH", KEYS[1] .. ":bell", "cancel " .. id)
return 1
