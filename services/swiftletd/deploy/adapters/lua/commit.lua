-- Keep the next version of a deployment with its port and its events, or nothing.
--
-- Data model (all keys share the hash tag {deploy}):
--   deployment:<id>             hash    s state, v version, b the deployment as JSON
--   deployments:<state|any>     zset    ids by creation time: one index for each filter that a list can ask for,
--                                       without deployments that were deleted and still end
--   unfinished                  set     ids of deployments to which something can still happen
--   ports                       hash    port -> id: a port belongs to one deployment until that is over
--   events                      stream  type, e: the outbox, read by the other services
--   request:<id>                string  the mark of a client's request (kernel/redis/lua/mark.lua)
--   next:<id>                   string  number of the next attempt of a deployment that was deleted: an id that is
--                                       used again goes on from there, so no run has its name twice
--
-- KEYS  1 deployment   2 unfinished   3 events   4 request   5 ports   6 next   7 index of all
--       8 index of the state that was   9 index of the state that is
-- ARGV  1 version that was read, 0 for a new one   2 new version   3 state   4 deployment   5 creation time   6 id
--       7 "1" if unfinished   8 "1" if listed   9 port that was, 0 for none   10 port that is
--       11 first attempt of a new one, 0 for others   12 mark of the request   13.. for each event: type, event
--
-- Returns "ok"; "repeated" if the request had its effect before; "stale" if the version is not the one that was
-- read, or a new one would begin with an attempt that a deleted one had; "port" if the port belongs to another.
if repeated(KEYS[4], ARGV[12]) then return 'repeated' end
if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then return 'stale' end
if ARGV[1] == '0' and tonumber(redis.call('GET', KEYS[6]) or '1') > tonumber(ARGV[11]) then return 'stale' end
local owner = redis.call('HGET', KEYS[5], ARGV[10])
if ARGV[7] == '1' and owner and owner ~= ARGV[6] then return 'port' end

redis.call('HSET', KEYS[1], 's', ARGV[3], 'v', ARGV[2], 'b', ARGV[4])
redis.call('ZREM', KEYS[8], ARGV[6])
for i = 7, 9, 2 do
  if ARGV[8] == '1' then redis.call('ZADD', KEYS[i], ARGV[5], ARGV[6]) else redis.call('ZREM', KEYS[i], ARGV[6]) end
end
redis.call(ARGV[7] == '1' and 'SADD' or 'SREM', KEYS[2], ARGV[6])
if ARGV[9] ~= ARGV[10] or ARGV[7] ~= '1' then
  if redis.call('HGET', KEYS[5], ARGV[9]) == ARGV[6] then redis.call('HDEL', KEYS[5], ARGV[9]) end
end
if ARGV[7] == '1' then redis.call('HSET', KEYS[5], ARGV[10], ARGV[6]) end
for i = 13, #ARGV, 2 do redis.call('XADD', KEYS[3], '*', 'type', ARGV[i], 'e', ARGV[i + 1]) end
remember(KEYS[4], ARGV[12])
return 'ok'
