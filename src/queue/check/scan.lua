-- Some of the deployment's keys, and their types: SCAN, asked of the server that has them, in a Cluster, too.
-- KEYS[1]  any key of the deployment
-- ARGV     cursor, how many keys to look at
-- Returns  { next cursor, key, type, key, type, … }
local base = string.match(KEYS[1], "^%b{}:")
local pattern = string.gsub(base, "[%[%]%*%?\\]", "\\%0") .. "*"
local next_cursor, found = unpack(redis.call("SCAN", ARGV[1], "MATCH", pattern, "COUNT", ARGV[2]))
local reply = { next_cursor }
for _, key in ipairs(found) do
  reply[#reply + 1] = key
  reply[#reply + 1] = redis.call("TYPE", key).ok
end
return reply
