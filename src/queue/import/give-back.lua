-- Puts a job that was taken back into its queue. Repeated, it changes nothing.
-- KEYS[1]  where it stands
-- KEYS[2]  queue
-- ARGV     id, score
-- Returns  1, or 0 when it does not stand there.
if redis.call("ZREM", KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call("ZADD", KEYS[2], ARGV[2], ARGV[1])
return 1
