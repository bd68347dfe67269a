-- Forget the version of a job that was read, with its history; tell the others. See commit.lua for the keys.
--
-- KEYS  1 job  2 unfinished  3 history  4 events  5 request  6 next  7.. all indexes that it is in
-- ARGV  1 version that was read   2 id   3 mark of the request   4 number of its next attempt
--       5 seconds for which that number is kept   6 type   7 event
--
-- Returns as commit.lua does.
if repeated(KEYS[5], ARGV[3]) then return 'repeated' end
if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then return 'stale' end
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('SREM', KEYS[2], ARGV[2])
for i = 7, #KEYS do redis.call('ZREM', KEYS[i], ARGV[2]) end
redis.call('XADD', KEYS[4], '*', 'type', ARGV[6], 'e', ARGV[7])
if tonumber(ARGV[4]) > 1 then redis.call('SET', KEYS[6], ARGV[4], 'EX', ARGV[5]) end
remember(KEYS[5], ARGV[3])
return 'ok'
