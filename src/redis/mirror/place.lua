-- Makes the mirror's group where it is missing.
-- KEYS: the stream. ARGV: the group; the position to make it at; the stream's last id that the
-- position was found by ('' where there is no stream), or '*' for any; the entry that it was found by,
-- or ''.
-- Answers the group's position, made now or before; or '' where the last id has moved on.
local key, group = KEYS[1], ARGV[1]
local at = position(key, group)
if type(at) == 'table' then return at end
if not at then
  local last = ''
  if ARGV[3] ~= '*' and redis.call('EXISTS', key) == 1 then
    local info = redis.call('XINFO', 'STREAM', key)
    for field = 1, #info, 2 do
      if info[field] == 'last-generated-id' then last = info[field + 1] end
    end
  end
  if ARGV[3] ~= '*' and ARGV[3] ~= last then return {'', 0} end
  -- The same last id may be that of a stream which was deleted and made anew.
  if ARGV[4] ~= '' and #redis.call('XRANGE', key, ARGV[4], ARGV[4]) == 0 then return {'', 0} end
  redis.call('XGROUP', 'CREATE', key, group, ARGV[2], 'MKSTREAM')
  at = ARGV[2]
end
-- Moves nothing, and shows before the first append that it may be moved.
redis.call('XGROUP', 'SETID', key, group, at)
return {at, 0}
