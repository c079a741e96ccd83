-- Makes the mirror's group where it is missing.
-- KEYS: the stream. ARGV: the group; the position to make it at; the stream's last id that the
-- position was found by ('' where there is no stream), or '*' for any; the entry that it was found by,
-- or ''.
-- Answers the group's position, made now or before; or '' where the last id has moved on by more than a
-- few entries, or by one that may be the mirror's own.
local key, group = KEYS[1], ARGV[1]
-- How many entries of others may have come since the stream was looked through.
local LATER_MAX = 100

-- Whether entries came behind this one, few, and none that names the group's store.
local function only_others_came(seen)
  local later = seen ~= '' and redis.call('XRANGE', key, '(' .. seen, '+', 'COUNT', LATER_MAX + 1) or {}
  local store = group:match('^planbus:(%w+)')
  for _, entry in ipairs(later) do
    for _, text in ipairs(entry[2]) do
      if text:find(store, 1, true) then return false end
    end
  end
  return #later > 0 and #later <= LATER_MAX
end

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
  local is_seen = ARGV[3] == '*' or ARGV[3] == last
  if not is_seen and not only_others_came(ARGV[3]) then return {'', 0} end
  -- The same last id may be that of a stream which was deleted and made anew.
  if ARGV[4] ~= '' and #redis.call('XRANGE', key, ARGV[4], ARGV[4]) == 0 then return {'', 0} end
  redis.call('XGROUP', 'CREATE', key, group, ARGV[2], 'MKSTREAM')
  at = ARGV[2]
end
-- Moves nothing, and shows before the first append that it may be moved.
redis.call('XGROUP', 'SETID', key, group, at)
return {at, 0}
