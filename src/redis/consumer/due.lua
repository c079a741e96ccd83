-- Takes the entries whose time for another attempt has come.
-- KEYS: the stream, due, failures, lease, replay. ARGV: the group; the consumer; its token; how many
-- at most; 'republish' to add what failed to the end of the stream again, for every group, in place of
-- taking it.
-- Answers false where the lease is another's; else in how many milliseconds the next is due, or '';
-- the entries, as claim.lua does; the ids of entries that are pending no more, or another's; those of
-- entries that were deleted, which are no longer pending; and whether there are replays.
local key, due, failures = KEYS[1], KEYS[2], KEYS[3]
local group, consumer = ARGV[1], ARGV[2]
if not is_holder(KEYS[4], ARGV[3]) then return false end
-- How far clocks may be apart that read one time twice in a script.
local SLACK_MS = 20
-- More values than this are more than one call takes.
local VALUES_MAX = 7000
local now, entries, gone, deleted = now_ms(), {}, {}, {}

-- Adds an entry again with the count of its failures, and acks the old one; not where it cannot be.
local function republish(id, attempts)
  local entry = redis.call('XRANGE', key, id, id)[1]
  if not entry or #entry[2] > VALUES_MAX then return false end
  local command = {'XADD', key, '*'}
  for at = 1, #entry[2], 2 do
    if entry[2][at] ~= '_retry_count' then
      command[#command + 1], command[#command + 2] = entry[2][at], entry[2][at + 1]
    end
  end
  command[#command + 1], command[#command + 2] = '_retry_count', attempts
  redis.call(unpack(command))
  redis.call('XACK', key, group, id)
  return true
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', digits(now), 'LIMIT', 0, ARGV[4])) do
  local owner, idle, deliveries = pending(key, group, id)
  local record = redis.call('HGET', failures, id) or ''
  local failed_at = tonumber(record:match('^[^\n]*\n%d+\n%d+\n(%d+)') or now)
  redis.call('ZREM', due, id)
  -- Whoever was given it after it had failed has it now.
  local is_free = owner and now - idle <= failed_at + SLACK_MS
  local attempts = ARGV[5] == 'republish' and record:match('^[^\n]*\n(%d+)')
  local is_again = is_free and attempts and republish(id, attempts)
  local fields = is_free and not is_again and claim(key, group, consumer, id)
  if fields then
    entries[#entries + 1] = {id, fields, deliveries + 1, record, ''}
  else
    if not pending(key, group, id) then redis.call('HDEL', failures, id) end
    local list = is_free and not is_again and deleted or gone
    list[#list + 1] = id
  end
end
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
return {first and digits(math.max(first - now, 0)) or '', entries, gone, deleted,
  redis.call('EXISTS', KEYS[5])}
