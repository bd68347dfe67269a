-- Changes an entry that waits and goes on waiting: told, moved, held, released.
--
-- KEYS 1 entry (see enqueue.lua), 2 events, 3 request  string: the answer that a request got
-- ARGV 1 expected version, 2 entry, 3 prediction, 4 told, 5 request id (empty: none), 6 answer,
--      7 event type, 8 event, 9 oldest event to keep
--
-- Invariant: a request id changes something once. The version grows by one with each event.
if ARGV[5] ~= '' and redis.call('EXISTS', KEYS[3]) == 1 then return 'repeated' end
local state, version = unpack(redis.call('HMGET', KEYS[1], 's', 'v'))
if state ~= 'waiting' or tonumber(version) ~= tonumber(ARGV[1]) then return 'stale' end
redis.call('HSET', KEYS[1], 'v', ARGV[1] + 1, 'b', ARGV[2], 'p', ARGV[3], 't', ARGV[4])
if ARGV[5] ~= '' then redis.call('SET', KEYS[3], ARGV[6], 'EX', 86400) end
redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[9], '*', 'type', ARGV[7], 'e', ARGV[8])
return 'ok'
