-- Takes the entries whose time for another attempt has come.
-- KEYS: the stream, due, failures, lease, replay. ARGV: the group; the consumer; its token; how many
-- at most.
-- Answers false where the lease is another's; else in how many milliseconds the next is due, or '';
-- the entries, as claim.lua does; the ids of entries that nobody has pending any more; and whether
-- there are replays.
local key, due, failures = KEYS[1], KEYS[2], KEYS[3]
local group, consumer = ARGV[1], ARGV[2]
if not is_holder(KEYS[4], ARGV[3]) then return false end
-- How far clocks may be apart that read one time twice in a script.
local SLACK_MS = 20
local now, entries, gone = now_ms(), {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', digits(now), 'LIMIT', 0, ARGV[4])) do
  local owner, idle, deliveries = pending(key, group, id)
  local record = redis.call('HGET', failures, id) or ''
  local failed_at = tonumber(record:match('^[^\n]*\n%d+\n%d+\n(%d+)') or now)
  redis.call('ZREM', due, id)
  -- Whoever was given it after it had failed has it now.
  local fields = owner and now - idle <= failed_at + SLACK_MS and claim(key, group, consumer, id)
  if fields then
    entries[#entries + 1] = {id, fields, deliveries + 1, record, ''}
  else
    if not pending(key, group, id) then redis.call('HDEL', failures, id) end
    gone[#gone + 1] = id
  end
end
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
return {first and digits(math.max(first - now, 0)) or '', entries, gone, redis.call('EXISTS', KEYS[5])}
