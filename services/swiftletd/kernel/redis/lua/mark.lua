-- Goes before each script that a client's request can lead to: the request's mark is written with its effect.
-- A mark is '' where the client gave no request id.
local function repeated(key, mark) return mark ~= '' and redis.call('EXISTS', key) == 1 end
local function remember(key, mark)
  if mark ~= '' then redis.call('SET', key, mark, 'EX', 604800) end
end
