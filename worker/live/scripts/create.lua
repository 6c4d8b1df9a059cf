-- A session's place in Valkey, if it has none; what was there is never touched.
-- ARGV: prefix, attempt, sequence number that the first result follows
local state = ARGV[1] .. 'state'
if redis.call('EXISTS', state) == 1 then return 0 end
local time = redis.call('TIME')
redis.call('HSET', state, 'attempt', ARGV[2], 'sequence', ARGV[3], 'newest', -1, 'current', -1, 'current_done', 1,
  'shown', -1, 'shown_received', '', 'received', 0, 'whole', 0, 'processed', 0, 'superseded', 0, 'dropped', 0,
  'partial', 0, 'repeated', 0, 'closing_until', 0, 'second', 0, 'blocks', 0, 'touched', time[1], 'course', '[]')
return 1
