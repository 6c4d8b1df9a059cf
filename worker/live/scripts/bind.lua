-- A worker is bound to the session from now on, and gets what its predecessor had at hand anew.
-- ARGV: prefix, attempt, channel, id
local p = ARGV[1]
local state, work = p .. 'state', p .. 'work'
local get = function(name) return tonumber(redis.call('HGET', state, name)) end
if redis.call('EXISTS', state) == 0 then return {'absent'} end
if redis.call('HGET', state, 'closing_until') == 'never' then return {'ended'} end
if get('attempt') > tonumber(ARGV[2]) then return {'overtaken'} end
redis.call('HSET', state, 'attempt', ARGV[2])
local newest = get('newest')
local name = string.format('%.0f', newest)
-- Once: a frame of which workers die is left out.
if newest == get('current') and redis.call('HGET', state, 'current_done') == '0' and redis.call('HSETNX', p .. 'meta:' .. name, 'again', 1) == 1 then
  local rows = redis.call('GET', p .. 'rows:' .. name)
  redis.call('UNLINK', p .. 'ranges:' .. name)
  local at = 1
  while true do
    local first, last = string.find(rows, '1+', at)
    if not first then break end
    redis.call('RPUSH', p .. 'ranges:' .. name, (first - 1) .. ',' .. (last - first + 1))
    at = last + 1
  end
  if redis.call('EXISTS', p .. 'ranges:' .. name) == 1 and not redis.call('LPOS', work, name) then redis.call('RPUSH', work, name) end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
local seen = {}
local first = tonumber(redis.call('LINDEX', work, 0) or '')
for _, frame in ipairs(redis.call('LRANGE', p .. 'kept', 0, -1)) do
  if tonumber(frame) < (first or math.huge) then table.insert(seen, frame) end
end
return {'bound', redis.call('HGET', state, 'sequence'), seen}
