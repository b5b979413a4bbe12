-- Takes over a job of another service under its id, once. Its id is remembered for a time: taken over again, nothing
-- changes, whatever has become of the job meanwhile.
-- KEYS[1]  room it goes to, or set it rests in
-- ARGV     id, request ("" when it needs none any more), how long to remember (ms), kind, then by kind:
--          "room"   due (ms since the epoch), group, limit, gift
--          "rest"   "", "", "", ""
--          then the state (field, value …)
-- Returns  1, or 0 when we have had it.
local id, request, remember, kind, due, group, limit, gift = unpack(ARGV)
local imported = prefix .. "imported"
if redis.call("SISMEMBER", imported, id) == 1 or redis.call("EXISTS", request_key(id), state_key(id)) > 0 then
  return 0
end
redis.call("SADD", imported, id)
redis.call("PEXPIRE", imported, remember)
redis.call("HINCRBY", prefix .. "totals", "accepted", 1)
if request ~= "" then redis.call("SET", request_key(id), request) end
if ARGV[9] then
  redis.call("HSET", state_key(id), "created", kind == "room" and math.min(now, tonumber(due)) or now)
  patch(id, 9)
end
if kind == "room" then enqueue(KEYS[1], id, group, limit, gift, due) else lay_to_rest(KEYS[1], id) end
return 1
