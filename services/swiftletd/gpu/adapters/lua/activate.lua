-- Changes a lease that stays live: its runner has begun, or is asked to end.
--
-- KEYS 1 entry (see enqueue.lua), 2 events
-- ARGV 1 expected version, 2 new state, 3 lease, 4 why its run is asked to end (empty: it isn't),
--      5 event type, 6 event, 7 oldest event to keep
--
-- Invariant: only a live lease changes, and it keeps its devices.
local state, version = unpack(redis.call('HMGET', KEYS[1], 's', 'v'))
if state ~= 'granted' and state ~= 'active' then return 'stale' end
if tonumber(version) ~= tonumber(ARGV[1]) then return 'stale' end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'v', ARGV[1] + 1, 'l', ARGV[3], 'r', ARGV[4])
redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[7], '*', 'type', ARGV[5], 'e', ARGV[6])
return 'ok'
