-- Empties a stream and keeps its groups, which begin again at its beginning.
--
-- KEYS[1]  the stream
-- ARGV[1]  what the names of groups that are no readers begin with: those are not kept
--
-- Answers {the number of entries that were removed, the names of the groups that were kept}.

local key, kept = KEYS[1], {}
local length = redis.call('XLEN', key)
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  for at = 1, #fields, 2 do
    if fields[at] == 'name' and fields[at + 1]:sub(1, #ARGV[1]) ~= ARGV[1] then
      kept[#kept + 1] = fields[at + 1]
    end
  end
end
redis.call('UNLINK', key)
for _, name in ipairs(kept) do
  redis.call('XGROUP', 'CREATE', key, name, '0', 'MKSTREAM')
end
return {length, kept}
