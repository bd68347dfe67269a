-- Puts an entry into the queue, unless it is there or was there for the same request.
--
-- KEYS 1 entry    hash: s state, v version, sv version of the job that asked, b entry, l lease,
--                       p prediction, t told, r why its run is asked to end
--      2 waiting  zset: ids of waiting entries by the time at which they joined
--      3 events   stream: the outbox
-- ARGV 1 expected version (0: none), 2 version of the job, 3 entry, 4 joined at,
--      5 id, 6 event type, 7 event, 8 oldest event to keep
--
-- Invariant: an entry is in `waiting` exactly while its state is "waiting". An ended entry comes back
-- only for a newer version of its job, so the same event twice does nothing.
local state, version, source = unpack(redis.call('HMGET', KEYS[1], 's', 'v', 'sv'))
if (tonumber(version) or 0) ~= tonumber(ARGV[1]) then return 'stale' end
if state == 'waiting' or state == 'granted' or state == 'active' then return 'repeated' end
if tonumber(source or -1) >= tonumber(ARGV[2]) then return 'repeated' end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 's', 'waiting', 'v', ARGV[1] + 1, 'sv', ARGV[2], 'b', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
redis.call('XADD', KEYS[3], 'MINID', '~', ARGV[8], '*', 'type', ARGV[6], 'e', ARGV[7])
return 'ok'
