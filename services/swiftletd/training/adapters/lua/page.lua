-- A page of jobs, newest first, and how many there are in all: one round trip. See commit.lua for the keys.
-- Without a search the cost is that of the page; a search looks at the newest ARGV[6] jobs of the index.
--
-- KEYS  1 index   2 prefix of the job keys (same hash tag)
-- ARGV  1 oldest creation time   2 newest   3 offset   4 size   5 search text, lower case   6 most jobs to look at
--       7 newest creation time of this page: ARGV[2], or that of the job before it   8 id of that job, or ''
--
-- Returns {total, job, job, ...}.

-- Whether a comes after b in the index, or is b: byte by byte. Lua itself would ask the locale.
local function at_or_above(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x > y end
  end
  return #a >= #b
end

-- Jobs of the same microsecond that were on the pages before.
local seen = 0
if ARGV[8] ~= '' then
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[7], ARGV[7])) do
    if at_or_above(id, ARGV[8]) then seen = seen + 1 end
  end
end

local total, found = 0, {}
if ARGV[5] == '' then
  total = redis.call('ZCOUNT', KEYS[1], ARGV[1], ARGV[2])
  local first = seen + tonumber(ARGV[3])
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[7], ARGV[1], 'LIMIT', first, ARGV[4])) do
    found[#found + 1] = redis.call('HGET', KEYS[2] .. id, 'b')
  end
else
  local skip, size = tonumber(ARGV[3]), tonumber(ARGV[4])
  if ARGV[8] ~= '' then seen = seen + redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[7], ARGV[2]) end
  for place, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[2], ARGV[1], 'LIMIT', 0, ARGV[6])) do
    local text = redis.call('HGET', KEYS[2] .. id, 'm')
    if text and string.find(text, ARGV[5], 1, true) then
      total = total + 1
      if place > seen then
        if skip > 0 then skip = skip - 1
        elseif #found < size then found[#found + 1] = redis.call('HGET', KEYS[2] .. id, 'b') end
      end
    end
  end
end
table.insert(found, 1, total)
return found
