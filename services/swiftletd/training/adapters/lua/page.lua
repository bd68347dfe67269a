-- A page of jobs, newest first, and how many there are in all: one round trip. See commit.lua for the keys.
-- Without a search the cost is that of the page; a search looks at the newest ARGV[6] jobs of the index.
--
-- KEYS  1 index   2 prefix of the job keys (same hash tag)
-- ARGV  1 oldest creation time   2 newest   3 offset   4 size   5 search text, lower case   6 most jobs to look at
--       7 newest creation time of this page: ARGV[2], or where the page before ended
--
-- Returns {total, job, job, ...}.
local total, found = 0, {}
if ARGV[5] == '' then
  total = redis.call('ZCOUNT', KEYS[1], ARGV[1], ARGV[2])
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[7], ARGV[1], 'LIMIT', ARGV[3], ARGV[4])) do
    found[#found + 1] = redis.call('HGET', KEYS[2] .. id, 'b')
  end
else
  local first, last = tonumber(ARGV[3]) + 1, tonumber(ARGV[3]) + tonumber(ARGV[4])
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[7], ARGV[1], 'LIMIT', 0, ARGV[6])) do
    local text = redis.call('HGET', KEYS[2] .. id, 'm')
    if text and string.find(text, ARGV[5], 1, true) then
      total = total + 1
      if total >= first and total <= last then found[#found + 1] = redis.call('HGET', KEYS[2] .. id, 'b') end
    end
  end
end
table.insert(found, 1, total)
return found
