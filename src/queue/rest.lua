-- The sets that jobs rest in; put between lib.lua and the scripts that need it.
--   {prefix}:rest:<reason>        zset  job ids: since when, ms since the epoch
--   {prefix}:rest:<reason>:<tag>  zset  those of them that have this tag: the same
--   {prefix}:tags:<reason>        set   the tags, other than aggregations, that something there has
-- A job's tags stand in its state, as JSON, so that whoever takes it out of rest finds them.

local function tags_of(id)
  local text = redis.call("HGET", state_key(id), "tags")
  return text and cjson.decode(text) or {}
end

local function tags_key(set) return prefix .. "tags:" .. string.sub(set, #prefix + #"rest:" + 1) end

local function lay_to_rest(set, id)
  redis.call("ZADD", set, now, id)
  for _, tag in ipairs(tags_of(id)) do
    redis.call("ZADD", set .. ":" .. tag, now, id)
    if not string.find(tag, "^of:") then redis.call("SADD", tags_key(set), tag) end
  end
end

-- Returns whether it rested there.
local function take_from_rest(set, id)
  if redis.call("ZREM", set, id) == 0 then return false end
  for _, tag in ipairs(tags_of(id)) do
    redis.call("ZREM", set .. ":" .. tag, id)
    if redis.call("EXISTS", set .. ":" .. tag) == 0 then redis.call("SREM", tags_key(set), tag) end
  end
  redis.call("HDEL", state_key(id), "tags")
  return true
end
