-- Extends the leases that a worker still holds; one call for all of its claims in a room. A lease that ran out but
-- that nobody took can be extended too.
-- KEYS[1]  room
-- ARGV     leaseMs, worker, seen (as in claim.lua), then of each claim: id, token, bytes received ("": nothing new)
-- Returns  { { ids whose lease was lost: whoever ran them must stop, and settle nothing },
--            { ids that were cancelled: whoever runs them must stop, and settle them } }
local lost, cancelled = {}, {}
closed_for(KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[1]))
for i = 4, #ARGV, 3 do
  local id, token, bytes = unpack(ARGV, i, i + 2)
  if claim_of(KEYS[1], id) == token then
    redis.call("ZADD", KEYS[1] .. ":leases", now + ARGV[1], id)
    if bytes ~= "" then redis.call("HSET", state_key(id), "bytes", bytes) end
    if redis.call("HEXISTS", state_key(id), "cancelled") == 1 then cancelled[#cancelled + 1] = id end
  else
    lost[#lost + 1] = id
  end
end
return { lost, cancelled }
