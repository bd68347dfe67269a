-- Takes an entry out of the queue: withdrawn by its owner, or removed by an operator.
--
-- KEYS 1 entry, 2 waiting (see enqueue.lua), 3 events, 4 request (see update.lua)
-- ARGV 1 expected version (0: none), 2 new state, 3 version of the job, 4 entry, 5 id,
--      6 mark of the request, 7 event type, 8 event, 9 oldest event to keep,
--      10 seconds for which the ended entry is kept
--
-- Invariant: what a withdrawn entry leaves behind keeps a late request for it out of the queue; so it
-- is written even if the entry was never seen.
if repeated(KEYS[4], ARGV[6]) then return 'repeated' end
local state, version = unpack(redis.call('HMGET', KEYS[1], 's', 'v'))
if (tonumber(version) or 0) ~= tonumber(ARGV[1]) then return 'stale' end
if state and state ~= 'waiting' then return 'stale' end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'v', ARGV[1] + 1, 'sv', ARGV[3], 'b', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[10])
redis.call('ZREM', KEYS[2], ARGV[5])
remember(KEYS[4], ARGV[6])
redis.call('XADD', KEYS[3], 'MINID', '~', ARGV[9], '*', 'type', ARGV[7], 'e', ARGV[8])
return 'ok'
