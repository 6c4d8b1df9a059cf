-- A result is there to be seen; only by the worker that is bound to the session.
-- ARGV: prefix, attempt, sequence number, frame, whole (0, 1), results that are held, channel, id,
--       course (or nothing), message, its age in ms, the bound in ms that this is below
local p = ARGV[1]
local state = p .. 'state'
local get = function(name) return tonumber(redis.call('HGET', state, name)) end
if redis.call('EXISTS', state) == 0 then return 'absent' end
if get('attempt') ~= tonumber(ARGV[2]) then return 'overtaken' end
if get('sequence') + 1 ~= tonumber(ARGV[3]) then return 'overtaken' end
redis.call('HSET', state, 'sequence', ARGV[3], 'shown', ARGV[4])
redis.call('HSET', state, 'shown_received', redis.call('HGET', p .. 'meta:' .. ARGV[4], 'received') or '')
if ARGV[9] ~= '' then redis.call('HSET', state, 'course', ARGV[9]) end
redis.call('SET', p .. 'newest', ARGV[10])
if ARGV[5] == '1' then
  if redis.call('HGET', state, 'current_done') == '0' then
    redis.call('HINCRBY', state, 'processed', 1)
    redis.call('HINCRBY', 'reucid:live:totals', 'processed', 1)
  end
  redis.call('HSET', state, 'current_done', 1)
  redis.call('LPUSH', p .. 'results', ARGV[10])
  redis.call('LTRIM', p .. 'results', 0, tonumber(ARGV[6]) - 1)
end
redis.call('HINCRBY', 'reucid:live:totals', 'age ' .. ARGV[12], 1)
redis.call('HINCRBY', 'reucid:live:totals', 'ms', ARGV[11])
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 'published'
