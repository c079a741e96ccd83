-- Says that a consumer is still busy with entries, so that nobody takes them over.
-- KEYS: the stream. ARGV: the group; the consumer; the ids.
-- Answers those of the ids that are no longer the consumer's, and those of entries that were deleted,
-- which are no longer pending.
local lost, deleted = {}, {}
for at = 3, #ARGV do
  local id = ARGV[at]
  if pending(KEYS[1], ARGV[1], id) == ARGV[2] then
    local kept = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')[1]
    if not kept then
      redis.call('XACK', KEYS[1], ARGV[1], id)
      deleted[#deleted + 1] = id
    end
  else
    lost[#lost + 1] = id
  end
end
return {lost, deleted}
