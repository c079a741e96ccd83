-- Gives entries back that were not begun: whoever of the group is free may take them at once.
-- KEYS: the stream, due, failures, lease. ARGV: the group; the consumer; its token; the ids.
-- Answers how many were given back.
-- As if nobody had touched it for a day, so that it is not taken for one that is being handled.
local UNTOUCHED_MS = 86400000
if not is_holder(KEYS[4], ARGV[3]) then return 0 end
local now, released = digits(now_ms()), 0
for at = 4, #ARGV do
  local id = ARGV[at]
  local owner, _, deliveries = pending(KEYS[1], ARGV[1], id)
  if owner == ARGV[2] then
    -- It was not handled, so this delivery does not count.
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'IDLE', UNTOUCHED_MS, 'RETRYCOUNT',
      math.max(deliveries - 1, 0), 'JUSTID')
    redis.call('ZADD', KEYS[2], 'NX', now, id)
    released = released + 1
  end
end
return released
