-- Keep the next version of a job, its history and its events, or nothing.
--
-- Data model (all keys share the hash tag {training}):
--   job:<id>                    hash    s state, v version, m text to search (id and model), b the job as JSON
--   jobs:<state|any>:<type|any> zset    ids by creation time: one index for each filter that a list can ask for;
--                                       an exporting job is in those of its state and in those of "exporting"
--   unfinished                  set     ids of jobs to which something can still happen
--   history:<id>                stream  h a line of the job's history as JSON
--   events                      stream  type, e: the outbox, read by the other services
--   request:<id>                string  the mark of a client's request (kernel/redis/lua/mark.lua)
--   next:<id>                   string  number of the next attempt of a job that was deleted: an id that is used
--                                       again goes on from there, so no run and no queue entry has its name twice
--   purge                       string  microsecond of creation up to which all jobs are being deleted
--
-- KEYS  1 job  2 unfinished  3 history  4 events  5 request  6 next  7.. indexes to leave, then indexes to join
-- ARGV  1 version that was read, 0 for a new job   2 new version   3 state   4 search text   5 job
--       6 creation time   7 id   8 "1" if unfinished   9 mark of the request
--       10 number of indexes to leave   11 first attempt of a new job, 0 for others
--       12 number of events, then for each: history line, type, event
--
-- Returns "ok"; "repeated" if the request had its effect before; "stale" if the version is not the one that was
-- read, or a new job would begin with an attempt that a deleted one had.
if repeated(KEYS[5], ARGV[9]) then return 'repeated' end
if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then return 'stale' end
if ARGV[1] == '0' and tonumber(redis.call('GET', KEYS[6]) or '1') > tonumber(ARGV[11]) then return 'stale' end

redis.call('HSET', KEYS[1], 's', ARGV[3], 'v', ARGV[2], 'm', ARGV[4], 'b', ARGV[5])
local first_join = 7 + tonumber(ARGV[10])
for i = 7, first_join - 1 do redis.call('ZREM', KEYS[i], ARGV[7]) end
for i = first_join, #KEYS do redis.call('ZADD', KEYS[i], ARGV[6], ARGV[7]) end
redis.call(ARGV[8] == '1' and 'SADD' or 'SREM', KEYS[2], ARGV[7])
for i = 1, tonumber(ARGV[12]) do
  local at = 13 + (i - 1) * 3
  redis.call('XADD', KEYS[3], '*', 'h', ARGV[at])
  redis.call('XADD', KEYS[4], '*', 'type', ARGV[at + 1], 'e', ARGV[at + 2])
end
remember(KEYS[5], ARGV[9])
return 'ok'
