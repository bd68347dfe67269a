-- Mark a request that found nothing to do, if what it found is still so.
--
-- KEYS  1 mark   2 hash with the version v of what was asked about
-- ARGV  1 mark   2 version that was read
if repeated(KEYS[1], ARGV[1]) then return 'repeated' end
if (redis.call('HGET', KEYS[2], 'v') or '0') ~= ARGV[2] then return 'stale' end
remember(KEYS[1], ARGV[1])
return 'ok'
