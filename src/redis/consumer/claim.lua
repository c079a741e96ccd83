-- Takes over pending entries that their consumers seem to have left, in the order of the stream.
-- KEYS: the stream, due, failures, lease. ARGV: the group; the consumer; its token; for how many
-- milliseconds nobody has touched them; from which id on; how many to look at; whose they are, or ''
-- for anybody's; 'due' to take also those that wait for their time; 'one' where the caller may take a
-- suspect; then ids to leave alone.
-- Answers false where the lease is another's; else the last id that was looked at, or '' at the end;
-- the entries: id, fields, deliveries, record of failures, when it is due or ''; and the ids of
-- entries that were deleted, which are no longer pending.
local key, due, failures = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, count = ARGV[1], ARGV[2], tonumber(ARGV[6])
if not is_holder(KEYS[4], ARGV[3]) then return false end
-- So often delivered without a word of how it ended, an entry may end the processes that handle it.
-- One of them at a time, so that only the one that does is given again and again.
local SUSPECT_DELIVERIES = 3
local may_take_suspect = ARGV[9] == 'one'
local skipped = {}
for at = 10, #ARGV do skipped[ARGV[at]] = true end
local command = {'XPENDING', key, group, 'IDLE', ARGV[4], ARGV[5], '+', count}
if ARGV[7] ~= '' then command[9] = ARGV[7] end
local found = redis.call(unpack(command))
local entries, deleted = {}, {}
for _, item in ipairs(found) do
  local id, owner, idle, deliveries = unpack(item)
  local time = not skipped[id] and redis.call('ZSCORE', due, id)
  local record = redis.call('HGET', failures, id) or ''
  local failed = tonumber(record:match('^[^\n]*\n(%d+)') or 0)
  local is_left = owner ~= consumer and not time and not skipped[id]
  local is_suspect = is_left and deliveries - failed >= SUSPECT_DELIVERIES
  local fields
  if skipped[id] or (time and ARGV[8] ~= 'due') then
    fields = nil
  elseif time then
    -- As if nobody had touched it: it is only to be known.
    fields = claim(key, group, consumer, id, 'IDLE', idle, 'RETRYCOUNT', deliveries) or false
  elseif is_suspect and not may_take_suspect and ARGV[8] ~= 'due' then
    fields = nil
  else
    -- What was given to the caller and never came, or waits behind others, is not delivered once more.
    if is_left and (may_take_suspect or not is_suspect) then deliveries = deliveries + 1 end
    may_take_suspect = may_take_suspect and not is_suspect
    fields = claim(key, group, consumer, id, 'RETRYCOUNT', deliveries) or false
  end
  if fields then
    entries[#entries + 1] = {id, fields, deliveries, record, time or ''}
  elseif fields == false then
    redis.call('ZREM', due, id)
    redis.call('HDEL', failures, id)
    deleted[#deleted + 1] = id
  end
end
return {#found == count and found[#found][1] or '', entries, deleted}
