-- Gives the lock of the active scheduler back, if it is still ours.
--
-- KEYS 1 leader (see lead.lua)
-- ARGV 1 process
--
-- Invariant: nobody ends the lead of another.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'stale' end
redis.call('DEL', KEYS[1])
return 'ok'
