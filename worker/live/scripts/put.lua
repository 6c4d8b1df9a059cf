-- Rows of a frame come in. Every count of frames is kept here, in one step with what it counts.
-- Answers what became of them and, where they were taken, how things stand.
-- ARGV: prefix, frame, first row, rows, rows of a frame, bytes of a row, lossless (0, 1),
--       frames that may wait, frames that are kept, rate, captured at, pixels
local p, frame, first, count, total = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local row_bytes, lossless, most_waiting, most_kept, rate = tonumber(ARGV[6]), ARGV[7] == '1', tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local state, work, kept = p .. 'state', p .. 'work', p .. 'kept'
local get = function(name) return tonumber(redis.call('HGET', state, name)) end
local add = function(name, n)
  redis.call('HINCRBY', state, name, n)
  redis.call('HINCRBY', 'reucid:live:totals', name, n)
end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

if redis.call('EXISTS', state) == 0 then return {'absent'} end
local closing = redis.call('HGET', state, 'closing_until')
if closing == 'never' or tonumber(closing) > now then return {'closed'} end
if get('second') ~= tonumber(time[1]) then redis.call('HSET', state, 'second', time[1], 'blocks', 0) end
if get('blocks') >= rate then return {'rate'} end

local told = function(what)
  return {what, redis.call('HGETALL', state), string.format('%.6f', now)}
end
local raw = function(n) return p .. 'raw:' .. string.format('%.0f', n) end
local rows = function(n) return p .. 'rows:' .. string.format('%.0f', n) end
local meta = function(n) return p .. 'meta:' .. string.format('%.0f', n) end
local ranges = function(n) return p .. 'ranges:' .. string.format('%.0f', n) end
local name = function(n) return string.format('%.0f', n) end
local forget = function(n) redis.call('UNLINK', raw(n), rows(n), meta(n), ranges(n)) end
local is_kept = function(n) return redis.call('LPOS', kept, name(n)) end

local newest = get('newest')
if frame < newest then return {'passed', name(newest)} end
if frame == newest then
  local there = redis.call('GETRANGE', rows(frame), first, first + count - 1)
  if there == string.rep('1', count) then
    add('repeated', 1)
    return told('repeated')
  end
  if string.find(there, '1', 1, true) then return {'overlap'} end
else
  if lossless and redis.call('LLEN', work) >= most_waiting then return {'full'} end
  -- What has begun and will not go on: nobody needs it but who works on it or keeps it.
  if newest >= 0 and redis.call('HEXISTS', meta(newest), 'whole') == 0 then
    add('partial', 1)
    if newest ~= get('current') and not redis.call('LPOS', work, name(newest)) then forget(newest) end
  end
  while not lossless and redis.call('LLEN', work) >= most_waiting do
    local passed = tonumber(redis.call('LPOP', work))
    redis.call('UNLINK', ranges(passed))
    if passed ~= get('current') then
      add('dropped', 1)
      if not is_kept(passed) then forget(passed) end
    end
  end
  add('received', 1)
  redis.call('HSET', state, 'newest', name(frame))
  redis.call('SET', rows(frame), string.rep('0', total))
end

redis.call('HINCRBY', state, 'blocks', 1)
redis.call('SETRANGE', raw(frame), first * row_bytes, ARGV[12])
redis.call('SETRANGE', rows(frame), first, string.rep('1', count))
redis.call('HSET', meta(frame), 'received', string.format('%.6f', now), 'captured', ARGV[11])
redis.call('HSET', state, 'touched', string.format('%.6f', now))
redis.call('RPUSH', ranges(frame), first .. ',' .. count)
if not redis.call('LPOS', work, name(frame)) then redis.call('RPUSH', work, name(frame)) end
if redis.call('HINCRBY', meta(frame), 'scanned', count) == total then
  redis.call('HSET', meta(frame), 'whole', 1)
  add('whole', 1)
  redis.call('RPUSH', kept, name(frame))
  while redis.call('LLEN', kept) > most_kept do
    local old = tonumber(redis.call('LPOP', kept))
    if old ~= frame and old ~= get('current') and not redis.call('LPOS', work, name(old)) then forget(old) end
  end
end
redis.call('DEL', p .. 'bell')
redis.call('RPUSH', p .. 'bell', 1)
return told('taken')
