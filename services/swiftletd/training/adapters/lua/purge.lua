-- Begin to delete all jobs that were created up to a moment, unless one runs. See commit.lua for the keys.
-- The deleting itself takes a script for each job; `purge` stays until that is through, whoever dies meanwhile.
--
-- KEYS  1 request   2 index of all running jobs   3 index of all jobs   4 purge
-- ARGV  1 mark of the request   2 creation time   3 number of jobs that are to be deleted
--
-- Returns as commit.lua does; "stale" if a job runs or the number is another.
if repeated(KEYS[1], ARGV[1]) then return 'repeated' end
if redis.call('ZCARD', KEYS[2]) > 0 then return 'stale' end
if redis.call('ZCOUNT', KEYS[3], '-inf', ARGV[2]) ~= tonumber(ARGV[3]) then return 'stale' end
redis.call('SET', KEYS[4], ARGV[2])
remember(KEYS[1], ARGV[1])
return 'ok'
