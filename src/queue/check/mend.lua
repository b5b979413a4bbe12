-- Changes where a job is.
-- KEYS[1]  totals
-- ARGV     id, what to do, then:
--          "take"  "pending" | "claimed" | "rest", room or reason, group or lane     out of this place
--          "put"   room, group, limit, gift, delayMs                         into this room
--          "rest"  reason
--          "gone"                                                           counts it as gone
-- Returns  1, or 0 when the job was not there.
local id, what = ARGV[1], ARGV[2]
if what == "put" then
  enqueue(prefix .. ARGV[3], id, ARGV[4], ARGV[5], ARGV[6], now + ARGV[7])
elseif what == "rest" then
  lay_to_rest(prefix .. "rest:" .. ARGV[3], id)
elseif what == "gone" then
  redis.call("HINCRBY", KEYS[1], "gone", 1)
else
  local kind, name, group = ARGV[3], ARGV[4], ARGV[5]
  if kind == "rest" then return take_from_rest(prefix .. "rest:" .. name, id) and 1 or 0 end
  local room = prefix .. name
  if kind == "pending" then
    return take_from_pending(room, id, group) and 1 or 0
  end
  if redis.call("SISMEMBER", room .. ":claimed:" .. group, id) == 0 then return 0 end
  local _, _, _, host = claim_of(room, id)
  release(room, id, group, host or "")
  stand(room, group)
end
return 1
