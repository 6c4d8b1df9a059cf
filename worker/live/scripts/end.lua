-- A session has ended: its pixels go, and who waits for them is told. What is left goes by itself.
-- ARGV: prefix, channel, id, seconds that the end is remembered
local p = ARGV[1]
local state = p .. 'state'
local frames = redis.call('LRANGE', p .. 'kept', 0, -1)
for _, frame in ipairs(redis.call('LRANGE', p .. 'work', 0, -1)) do table.insert(frames, frame) end
for _, name in ipairs({'newest', 'current'}) do
  local frame = tonumber(redis.call('HGET', state, name) or -1)
  if frame >= 0 then table.insert(frames, string.format('%.0f', frame)) end
end
for _, frame in ipairs(frames) do
  redis.call('UNLINK', p .. 'raw:' .. frame, p .. 'rows:' .. frame, p .. 'meta:' .. frame, p .. 'ranges:' .. frame)
end
redis.call('UNLINK', p .. 'work', p .. 'kept', p .. 'results', p .. 'newest', p .. 'bell')
if redis.call('EXISTS', state) == 1 then
  redis.call('HSET', state, 'closing_until', 'never')
  redis.call('EXPIRE', state, ARGV[4])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
