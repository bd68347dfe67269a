-- Records the health of a device. The same health twice tells nothing twice.
--
-- KEYS 1 devices  hash: the last known health of each device
--      2 events
-- ARGV 1 device, 2 health, 3 event type, 4 event, 5 oldest event to keep
--
-- Invariant: one event for each change of health. A device that is new here is taken as healthy before.
if (redis.call('HGET', KEYS[1], ARGV[1]) or 'healthy') == ARGV[2] then return 'repeated' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[5], '*', 'type', ARGV[3], 'e', ARGV[4])
return 'ok'
