-- Ends a lease: released, expired or revoked. Its devices are free in the same moment.
--
-- KEYS 1 entry (see enqueue.lua), 2 live, 3 held (see grant.lua), 4 events
--      5 used    hash: GPU-seconds by "<day>|<project>"
--      6 lasted  list: seconds that similar jobs ran, newest first
--      7 projects (see grant.lua)
--      8 parts   list: which part of its time limit each of the last jobs took, newest first
-- ARGV 1 expected version, 2 new state, 3 lease, 4 devices as JSON, 5 id, 6 field of `used` (empty: none),
--      7 GPU-seconds, 8 seconds it ran (empty: don't count), 9 how many of them to keep,
--      10 event type, 11 event, 12 oldest event to keep, 13 seconds for which the ended entry is kept,
--      14 project, 15 part of its time limit (empty: don't count), 16 how many of them to keep
--
-- Invariant: a lease ends once, and what it used is counted once.
local state, version = unpack(redis.call('HMGET', KEYS[1], 's', 'v'))
if state ~= 'granted' and state ~= 'active' then return 'stale' end
if tonumber(version) ~= tonumber(ARGV[1]) then return 'stale' end
local devices = cjson.decode(ARGV[4])
for field, less in pairs({ ['gpus|' .. ARGV[14]] = #devices, ['jobs|' .. ARGV[14]] = 1 }) do
  if redis.call('HINCRBY', KEYS[7], field, -less) <= 0 then redis.call('HDEL', KEYS[7], field) end
end
for _, device in ipairs(devices) do
  local tenants = redis.call('HGET', KEYS[3], device)
  tenants = tenants and cjson.decode(tenants) or {}
  tenants[ARGV[5]] = nil
  if next(tenants) then
    redis.call('HSET', KEYS[3], device, cjson.encode(tenants))
  else
    redis.call('HDEL', KEYS[3], device)
  end
end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'v', ARGV[1] + 1, 'l', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[13])
redis.call('SREM', KEYS[2], ARGV[5])
if ARGV[6] ~= '' then redis.call('HINCRBYFLOAT', KEYS[5], ARGV[6], ARGV[7]) end
if ARGV[8] ~= '' then
  redis.call('LPUSH', KEYS[6], ARGV[8])
  redis.call('LTRIM', KEYS[6], 0, ARGV[9] - 1)
  redis.call('EXPIRE', KEYS[6], 15552000)
end
if ARGV[15] ~= '' then
  redis.call('LPUSH', KEYS[8], ARGV[15])
  redis.call('LTRIM', KEYS[8], 0, ARGV[16] - 1)
end
redis.call('XADD', KEYS[4], 'MINID', '~', ARGV[12], '*', 'type', ARGV[10], 'e', ARGV[11])
return 'ok'
