-- All jobs up to a moment are gone; leaves a later purge alone. See purge.lua.
--
-- KEYS  1 purge
-- ARGV  1 creation time
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
