-- Takes an entry out of the queue: withdrawn by its owner, or removed by an operator.
--
-- KEYS 1 entry, 2 waiting (see enqueue.lua), 3 events, 4 request (see update.lua)
-- ARGV 1 expected version (0: none), 2 new state, 3 version of the job, 4 entry, 5 id,
--      6 request id (empty: none), 7 answer, 8 event type, 9 event, 10 oldest event to keep,
--      11 seconds for which the ended entry is kept
--
-- Invariant: what a withdrawn entry leaves behind keeps a late request for it out of the queue; so it
-- is written even if the entry was never seen.
if ARGV[6] ~= '' and redis.call('EXISTS', KEYS[4]) == 1 then return 'repeated' end
local state, version = unpack(redis.call('HMGET', KEYS[1], 's', 'v'))
if (tonumber(version) or 0) ~= tonumber(ARGV[1]) then return 'stale' end
if state and state ~= 'waiting' then return 'stale' end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'v', ARGV[1] + 1, 'sv', ARGV[3], 'b', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[11])
redis.call('ZREM', KEYS[2], ARGV[5])
if ARGV[6] ~= '' then redis.call('SET', KEYS[4], ARGV[7], 'EX', 86400) end
redis.call('XADD', KEYS[3], 'MINID', '~', ARGV[10], '*', 'type', ARGV[8], 'e', ARGV[9])
return 'ok'
