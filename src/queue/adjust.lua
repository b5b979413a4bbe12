-- Sets what an operator wants of a group, which wins over what its jobs brought and outlives the group.
-- KEYS[1]  room
-- ARGV     group, JSON {limit?, paused?, rate?, burst?} ("{}" takes it all back)
-- Returns 1.
if ARGV[2] == "{}" then
  redis.call("HDEL", KEYS[1] .. ":overrides", ARGV[1])
else
  redis.call("HSET", KEYS[1] .. ":overrides", ARGV[1], ARGV[2])
end
stand(KEYS[1], ARGV[1])
return 1
