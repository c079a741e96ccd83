-- Empties a stream and keeps the groups of its readers, which begin again at its beginning.
--
-- KEYS[1]  the stream
--
-- Answers {the number of entries that were removed, the names of the groups that were kept}.

local key, kept = KEYS[1], {}
local length = redis.call('XLEN', key)
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  for at = 1, #fields, 2 do
    if fields[at] == 'name' and not is_position_group(fields[at + 1]) then
      kept[#kept + 1] = fields[at + 1]
    end
  end
end
redis.call('UNLINK', key)
for _, name in ipairs(kept) do
  redis.call('XGROUP', 'CREATE', key, name, '0', 'MKSTREAM')
end
return {length, kept}
