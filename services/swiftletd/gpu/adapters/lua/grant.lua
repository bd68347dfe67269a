-- Gives devices to a waiting entry. The one place where a device changes hands.
--
-- KEYS 1 entry, 2 waiting (see enqueue.lua), 3 live  set: ids of entries with a lease
--      4 held       hash: for each device with leases on it, JSON {entry: MiB, or -1 for the whole}
--      5 fence      string: the largest fencing token ever given
--      6 processor  string: "stopped" while nothing may be granted
--      7 kept       list: the last starts and when they had been expected, newest first
--      8 events
--      9 projects   hash: devices ("gpus|<project>") and leases ("jobs|<project>") that projects hold
-- ARGV 1 expected version, 2 token, 3 claims as JSON [[device, MiB or -1, room in MiB, most shares], ...],
--      4 lease, 5 "1" to grant while stopped, 6 expected and real start (empty: none), 7 how many of them to keep, 8 id,
--      9 event type, 10 event, 11 oldest event to keep, 12 project, 13 most devices of the project,
--      14 most leases of the project (-1: no limit)
--
-- Invariant: a device is held whole by one lease, or by at most so many shares, all of which together
-- fit into its room. No project holds more than its quota. Tokens only ever rise. It holds however many schedulers run this at a time.
local function has_room(tenants, mib, room, most)
  local used, count = 0, 0
  for _, taken in pairs(tenants) do
    if taken < 0 or mib < 0 then return false end
    used, count = used + taken, count + 1
  end
  return mib < 0 or (used + mib <= room and count < most)
end

local state, version = unpack(redis.call('HMGET', KEYS[1], 's', 'v'))
if state ~= 'waiting' or tonumber(version) ~= tonumber(ARGV[1]) then return 'stale' end
if ARGV[5] ~= '1' and redis.call('GET', KEYS[6]) == 'stopped' then return 'stopped' end
if tonumber(ARGV[2]) <= tonumber(redis.call('GET', KEYS[5]) or 0) then return 'taken' end

local claims, held = cjson.decode(ARGV[3]), {}
for i, claim in ipairs(claims) do
  local tenants = redis.call('HGET', KEYS[4], claim[1])
  held[i] = tenants and cjson.decode(tenants) or {}
  if not has_room(held[i], claim[2], claim[3], claim[4]) then return 'taken' end
end

local gpus_field, jobs_field = 'gpus|' .. ARGV[12], 'jobs|' .. ARGV[12]
local gpus, jobs = unpack(redis.call('HMGET', KEYS[9], gpus_field, jobs_field))
local most_gpus, most_jobs = tonumber(ARGV[13]), tonumber(ARGV[14])
if most_gpus >= 0 and (tonumber(gpus) or 0) + #claims > most_gpus then return 'taken' end
if most_jobs >= 0 and (tonumber(jobs) or 0) >= most_jobs then return 'taken' end

redis.call('HINCRBY', KEYS[9], gpus_field, #claims)
redis.call('HINCRBY', KEYS[9], jobs_field, 1)
for i, claim in ipairs(claims) do
  held[i][ARGV[8]] = claim[2]
  redis.call('HSET', KEYS[4], claim[1], cjson.encode(held[i]))
end
redis.call('SET', KEYS[5], ARGV[2])
redis.call('HSET', KEYS[1], 's', 'granted', 'v', ARGV[1] + 1, 'l', ARGV[4])
redis.call('ZREM', KEYS[2], ARGV[8])
redis.call('SADD', KEYS[3], ARGV[8])
if ARGV[6] ~= '' then
  redis.call('LPUSH', KEYS[7], ARGV[6])
  redis.call('LTRIM', KEYS[7], 0, ARGV[7] - 1)
end
redis.call('XADD', KEYS[8], 'MINID', '~', ARGV[11], '*', 'type', ARGV[9], 'e', ARGV[10])
return 'ok'
