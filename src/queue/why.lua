-- What decides when a pending job starts. Reads only, and only what costs the same for any number of jobs.
-- KEYS[1]  room
-- ARGV     id, group, host in whose lane it waits (""), for how many ms a worker that did not call counts as alive, how
--          many running jobs to name
-- Returns  { now, when the job may start, how many of its group or lane are before it, pending in that, running in the
--            group, what the operator set as JSON, the group's entry, the room's limit, held until, the group's position
--            in the line (-1: not in it), until when the room is closed, workers alive, { ids of jobs that run … },
--            when the group's rate lets the next one start,
--            { the host is held in this group until, open until (0: it is not), from when it may be asked (-1: something
--              must end before), requests a second (0: no limit), requests that run (where they are counted), limit } };
--          nothing when the job is not pending there; times in ms since the epoch
local room, id, group, host = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local where = host == "" and group or lane_of(group, host)
local pending, claimed, left = room .. ":pending:" .. where, room .. ":claimed:" .. group, room .. ":left:" .. group
local rank = redis.call("ZRANK", pending, id)
if not rank then return nil end
local running = {}
for _, one in ipairs(redis.call("SRANDMEMBER", claimed, ARGV[5])) do
  if redis.call("SISMEMBER", left, one) == 0 then running[#running + 1] = one end
end

local function host_facts()
  if host == "" then return {} end
  local held, state = held_until(room, group, host), host_state(room, host)
  if terms_of(room, group).gift ~= "" then return { held, 0, 0, "0", 0, 0 } end -- through a proxy only that counts
  return {
    held,
    state.opens or 0,
    host_allows_from(room, host, group) or -1,
    tostring(rate_of(state) or 0),
    redis.call("SCARD", room .. ":running:" .. host),
    host_limit_of(room),
  }
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
  redis.call("ZCOUNT", room .. ":workers", now - ARGV[4], "+inf"),
  running,
  pace_allows_from(room, group),
  host_facts(),
}
