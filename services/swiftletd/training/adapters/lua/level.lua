-- Say that a disk is nearly full, or well again, once.
--
-- KEYS  1 levels  hash: the last word about each disk
--       2 events
-- ARGV  1 disk   2 "high" or "ok"   3 type of the event   4 event
--
-- Returns 1, or 0 if that was the last word.
if (redis.call('HGET', KEYS[1], ARGV[1]) or 'ok') == ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('XADD', KEYS[2], '*', 'type', ARGV[3], 'e', ARGV[4])
return 1
