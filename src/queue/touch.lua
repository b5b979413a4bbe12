-- Writes, to see that Redis takes it.
-- KEYS[1]  probe
redis.call("SET", KEYS[1], "1", "PX", 60000)
return 1
