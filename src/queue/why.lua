-- What decides when a pending job starts. Reads only, and only what costs the same for any number of jobs.
-- KEYS[1]  room
-- ARGV     id, group, for how many ms a worker that did not call counts as alive, how many running jobs to name
-- Returns  { now, when the job may start, how many of its group are before it, pending in the group, running in it,
--            what the operator set as JSON, "<limit> <gift>", the room's limit, held until, the group's position in the
--            line (-1: not in it), until when the room is closed, workers alive, { ids of jobs that run … } };
--          nothing when the job is not pending there
local room, id, group = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local pending, claimed, left = room .. ":pending:" .. group, room .. ":claimed:" .. group, room .. ":left:" .. group
local rank = redis.call("ZRANK", pending, id)
if not rank then return nil end
local running = {}
for _, one in ipairs(redis.call("SRANDMEMBER", claimed, ARGV[4])) do
  if redis.call("SISMEMBER", left, one) == 0 then running[#running + 1] = one end
end
return {
  now,
  redis.call("ZSCORE", pending, id),
  rank,
  redis.call("ZCARD", pending),
  redis.call("SCARD", claimed) - redis.call("SCARD", left),
  redis.call("HGET", room .. ":overrides", group) or "{}",
  redis.call("HGET", room .. ":groups", group) or "0 ",
  redis.call("HGET", room, "limit") or "1",
  redis.call("HGET", room .. ":holds", group) or "0",
  redis.call("ZRANK", room .. ":line", group) or -1,
  redis.call("HGET", room, "opens") or "0",
  redis.call("ZCOUNT", room .. ":workers", now - ARGV[3], "+inf"),
  running,
}
