-- Says that a consumer is still busy with entries, so that nobody takes them over.
-- KEYS: the stream. ARGV: the group; the consumer; the ids.
-- Answers those of the ids that are no longer the consumer's.
local lost = {}
for at = 3, #ARGV do
  local id = ARGV[at]
  if pending(KEYS[1], ARGV[1], id) == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
  else
    lost[#lost + 1] = id
  end
end
return lost
