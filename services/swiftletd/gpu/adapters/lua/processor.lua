-- Starts or stops all granting. It outlives a restart, because it is kept here and nowhere else.
--
-- KEYS 1 processor  string: "running" or "stopped"; running if there is none
--      2 events, 3 request (see update.lua)
-- ARGV 1 "running" or "stopped", 2 mark of the request, 3 mark if it is so already,
--      4 event type, 5 event, 6 oldest event to keep
--
-- Invariant: after this says "stopped", grant.lua gives nothing away.
if repeated(KEYS[3], ARGV[2]) then return 'repeated' end
if (redis.call('GET', KEYS[1]) or 'running') == ARGV[1] then
  remember(KEYS[3], ARGV[3])
  return 'stale'
end
remember(KEYS[3], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[6], '*', 'type', ARGV[4], 'e', ARGV[5])
return 'ok'
