-- Changes an entry that waits and goes on waiting: told, moved, held, released.
--
-- KEYS 1 entry (see enqueue.lua), 2 events, 3 request  string: the mark of a client's request
-- ARGV 1 expected version, 2 entry, 3 prediction, 4 told, 5 mark of the request,
--      6 event type, 7 event, 8 oldest event to keep
--
-- Invariant: a request changes something once. The version grows by one with each event.
if repeated(KEYS[3], ARGV[5]) then return 'repeated' end
local state, version = unpack(redis.call('HMGET', KEYS[1], 's', 'v'))
if state ~= 'waiting' or tonumber(version) ~= tonumber(ARGV[1]) then return 'stale' end
redis.call('HSET', KEYS[1], 'v', ARGV[1] + 1, 'b', ARGV[2], 'p', ARGV[3], 't', ARGV[4])
remember(KEYS[3], ARGV[5])
redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[8], '*', 'type', ARGV[6], 'e', ARGV[7])
return 'ok'
