-- The sets that jobs rest in; put between lib.lua and the scripts that need it.
--   {prefix}:rest:<reason>        zset  job ids: since when, ms since the epoch
--   {prefix}:rest:<reason>:<tag>  zset  those of them that have this tag: the same
-- A job's tags stand in its state, as JSON, so that whoever takes it out of rest finds them.

local function tags_of(id)
  local text = redis.call("HGET", state_key(id), "tags")
  return text and cjson.decode(text) or {}
end

local function lay_to_rest(set, id)
  redis.call("ZADD", set, now, id)
  for _, tag in ipairs(tags_of(id)) do redis.call("ZADD", set .. ":" .. tag, now, id) end
end

-- Returns whether it rested there.
local function take_from_rest(set, id)
  if redis.call("ZREM", set, id) == 0 then return false end
  for _, tag in ipairs(tags_of(id)) do redis.call("ZREM", set .. ":" .. tag, id) end
  redis.call("HDEL", state_key(id), "tags")
  return true
end
