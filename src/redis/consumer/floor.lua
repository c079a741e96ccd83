-- Up to where a group is done with a stream: what is before the oldest pending entry, or, where
-- nothing is pending, up to the last one that was delivered.
-- KEYS: the stream. ARGV: the group; how many entries.
-- Answers the id up to which nothing is pending any more, and the last entries before or at it.
local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
local last, before
if pending[1] > 0 then
  last, before = pending[2], '(' .. pending[2]
else
  for _, fields in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = {}
    for at = 1, #fields, 2 do group[fields[at]] = fields[at + 1] end
    if group.name == ARGV[1] then last = group['last-delivered-id'] end
  end
  before = last
end
return {last, redis.call('XREVRANGE', KEYS[1], before, '-', 'COUNT', ARGV[2])}
