-- The live worker takes all rows that wait of the frame that has waited longest.
-- ARGV: prefix, attempt
local p = ARGV[1]
local state, work = p .. 'state', p .. 'work'
local get = function(name) return tonumber(redis.call('HGET', state, name)) end
if redis.call('EXISTS', state) == 0 then return {'absent'} end
if redis.call('HGET', state, 'closing_until') == 'never' then return {'ended'} end
if get('attempt') ~= tonumber(ARGV[2]) then return {'overtaken'} end
local time = redis.call('TIME')
local frame = redis.call('LPOP', work)
if not frame then return {'nothing'} end
local current = get('current')
if current ~= tonumber(frame) then
  local old = string.format('%.0f', current)
  if current >= 0 then
    if redis.call('HGET', state, 'current_done') == '0' then
      redis.call('HINCRBY', state, 'superseded', 1)
      redis.call('HINCRBY', 'reucid:live:totals', 'superseded', 1)
    end
    if current ~= get('newest') and not redis.call('LPOS', p .. 'kept', old) then
      redis.call('UNLINK', p .. 'raw:' .. old, p .. 'rows:' .. old, p .. 'meta:' .. old, p .. 'ranges:' .. old)
    end
  end
  redis.call('HSET', state, 'current', frame, 'current_done', 0)
end
local ranges = redis.call('LRANGE', p .. 'ranges:' .. frame, 0, -1)
redis.call('UNLINK', p .. 'ranges:' .. frame)
local meta = redis.call('HMGET', p .. 'meta:' .. frame, 'received', 'captured')
local waiting = redis.call('LLEN', work)
return {'rows', frame, ranges, meta[1], meta[2], waiting, string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6)}
