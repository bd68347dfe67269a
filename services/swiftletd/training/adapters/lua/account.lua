-- Put the size of a directory into the books, in the place of what was said of it before.
--
-- KEYS  1 sizes  zset: directories by bytes   2 total  string: the sum of all sizes
-- ARGV  1 directory   2 bytes, 0 to forget it
--
-- Invariant: the total is the sum, however often this is repeated.
local before = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if before == tonumber(ARGV[2]) then return 0 end
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
redis.call('INCRBY', KEYS[2], string.format('%.0f', tonumber(ARGV[2]) - before))
return 1
