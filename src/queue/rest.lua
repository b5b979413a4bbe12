-- The sets that jobs rest in; put between lib.lua and the scripts that need it.
--   {prefix}:rest:<reason>        zset  job ids: since when, ms since the epoch
--   {prefix}:rest:<reason>:<tag>  zset  those of them that have this tag: the same
--   {prefix}:tags:<reason>        set   the tags, other than aggregations, that something there has
--   {prefix}:tags:<reason>:of     set   those of aggregations
-- A job's tags stand in its state, as JSON, so that whoever takes it out of rest finds them.

local function tags_of(id)
  local text = redis.call("HGET", state_key(id), "tags")
  return text and cjson.decode(text) or {}
end

-- The set that a tag of what rests in this set is kept in.
local function tags_key(set, tag)
  local key = prefix .. "tags:" .. string.sub(set, #prefix + #"rest:" + 1)
  return string.find(tag, "^of:") and key .. ":of" or key
end

local function lay_to_rest(set, id)
  redis.call("ZADD", set, now, id)
  for _, tag in ipairs(tags_of(id)) do
    redis.call("ZADD", set .. ":" .. tag, now, id)
    redis.call("SADD", tags_key(set, tag), tag)
  end
end

-- Returns whether it rested there.
local function take_from_rest(set, id)
  if redis.call("ZREM", set, id) == 0 then return false end
  for _, tag in ipairs(tags_of(id)) do
    redis.call("ZREM", set .. ":" .. tag, id)
    if redis.call("EXISTS", set .. ":" .. tag) == 0 then redis.call("SREM", tags_key(set, tag), tag) end
  end
  redis.call("HDEL", state_key(id), "tags")
  return true
end
