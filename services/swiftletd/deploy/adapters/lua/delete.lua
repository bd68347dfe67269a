-- Forget the version of a deployment that was read, free its port, and tell the others.
--
-- KEYS  as in commit.lua
-- ARGV  1 version that was read   2 id   3 port   4 number of its next attempt
--       5 seconds for which that number is kept   6 mark of the request   7.. for each event: type, event
--
-- Returns "ok", "repeated" or "stale" as commit.lua does.
if repeated(KEYS[4], ARGV[6]) then return 'repeated' end
if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then return 'stale' end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[2])
for i = 7, #KEYS do redis.call('ZREM', KEYS[i], ARGV[2]) end
if redis.call('HGET', KEYS[5], ARGV[3]) == ARGV[2] then redis.call('HDEL', KEYS[5], ARGV[3]) end
if tonumber(ARGV[4]) > 1 then redis.call('SET', KEYS[6], ARGV[4], 'EX', ARGV[5]) end
for i = 7, #ARGV, 2 do redis.call('XADD', KEYS[3], '*', 'type', ARGV[i], 'e', ARGV[i + 1]) end
remember(KEYS[4], ARGV[6])
return 'ok'
