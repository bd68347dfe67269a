-- Starts or stops all granting. It outlives a restart, because it is kept here and nowhere else.
--
-- KEYS 1 processor  string: "running" or "stopped"; running if there is none
--      2 events
-- ARGV 1 "running" or "stopped", 2 event type, 3 event, 4 oldest event to keep
--
-- Invariant: after this says "stopped", grant.lua gives nothing away.
if (redis.call('GET', KEYS[1]) or 'running') == ARGV[1] then return 'repeated' end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[4], '*', 'type', ARGV[2], 'e', ARGV[3])
return 'ok'
