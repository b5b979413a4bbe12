-- Extends the leases that a worker still holds; one call for all of its claims in a room. A lease that ran out but
-- that nobody took can be extended too.
-- KEYS[1]  room
-- ARGV     leaseMs, id, token, id, token …
-- Returns the ids whose lease was lost: whoever ran them must stop, and settle nothing.
local lost = {}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  if claim_of(KEYS[1], id) == ARGV[i + 1] then
    redis.call("ZADD", KEYS[1] .. ":leases", now + ARGV[1], id)
  else
    lost[#lost + 1] = id
  end
end
return lost
