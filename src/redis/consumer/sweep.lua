-- Removes consumers that are long gone and have nothing pending.
-- KEYS: the stream. ARGV: the group; for how many milliseconds nobody has heard of them; how many at
-- most; the one that is meant, or '' for all.
-- Answers how many were removed. Only names that end as ours do are touched.
local removed = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for at = 1, #fields, 2 do consumer[fields[at]] = fields[at + 1] end
  local is_ours = consumer.name:find('%.' .. ('[0-9A-Z]'):rep(26) .. '$')
  local is_meant = is_ours and (ARGV[4] == '' or ARGV[4] == consumer.name)
  if is_meant and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
    if removed >= tonumber(ARGV[3]) then break end
  end
end
return removed
