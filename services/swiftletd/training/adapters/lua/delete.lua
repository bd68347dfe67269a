-- Forget the version of a job that was read, with its history; tell the others. See commit.lua for the keys.
--
-- KEYS  1 job  2 unfinished  3 history  4 events  5 request  6.. all indexes that it is in
-- ARGV  1 version that was read   2 id   3 request's time to live, 0 for no request   4 type   5 event
--
-- Returns 1, or 0 if the version is not the one that was read.
if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('SREM', KEYS[2], ARGV[2])
for i = 6, #KEYS do redis.call('ZREM', KEYS[i], ARGV[2]) end
redis.call('XADD', KEYS[4], '*', 'type', ARGV[4], 'e', ARGV[5])
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[5], ARGV[2], 'EX', ARGV[3]) end
return 1
