-- Put a run that ended into the index, or take it out.
--
-- KEYS  1 ended  zset: runs by the time of their end   2 sizes  hash: bytes of their logs   3 total  string: the sum
-- ARGV  1 run   2 time, empty to take it out   3 bytes
--
-- Invariant: the total is the sum, however often this is repeated.
local known = redis.call('HGET', KEYS[2], ARGV[1])
if ARGV[2] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  if known then redis.call('DECRBY', KEYS[3], known) end
elseif not known then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
  redis.call('INCRBY', KEYS[3], ARGV[3])
end
return 1
