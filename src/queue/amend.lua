-- Changes some of what an operator set of a group, and leaves the rest (adjust.lua sets all of it).
-- KEYS[1]  room
-- ARGV     group, JSON {limit?, rate?, paused?}, in which null takes one back
-- Returns  JSON of what is set now.
local overrides, group = KEYS[1] .. ":overrides", ARGV[1]
local settings = cjson.decode(redis.call("HGET", overrides, group) or "{}")
for name, value in pairs(cjson.decode(ARGV[2])) do
  if value == cjson.null then settings[name] = nil else settings[name] = value end
end
local text = next(settings) and cjson.encode(settings) or "{}"
if text == "{}" then redis.call("HDEL", overrides, group) else redis.call("HSET", overrides, group, text) end
stand(KEYS[1], group)
return text
