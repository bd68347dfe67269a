-- Takes or keeps the lock of the active scheduler.
--
-- KEYS 1 leader  string: the process that schedules
-- ARGV 1 process, 2 milliseconds for which it leads
--
-- Invariant: it only saves work. Two leaders at once do no harm, since grant.lua checks everything.
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return 'taken' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'ok'
