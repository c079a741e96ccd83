-- Appends the entries that come after the group's position, and moves it with them.
-- KEYS: the stream. ARGV: the group; for each entry its id, the number of its words, and the words
-- (field, value, ...); last, where the mirror believes the group to be.
-- Answers the position; behind it the error, if one kept entries back. Where the position is none of
-- the ids that were sent, nothing was appended: it is for the mirror to find its place.
local key, group, believed = KEYS[1], ARGV[1], ARGV[#ARGV]
local at = position(key, group)
if type(at) == 'table' then return at end
if not at then return {''} end
local entry, entries_end = 2, #ARGV
if at ~= believed then
  while entry < entries_end and ARGV[entry] ~= at do entry = entry + 2 + ARGV[entry + 1] end
  if entry >= entries_end then return {at} end
  entry = entry + 2 + ARGV[entry + 1]
end
local added, reached, refused = {}, at, nil
while entry < entries_end do
  local last_word = entry + 1 + ARGV[entry + 1]
  local id = redis.pcall('XADD', key, '*', unpack(ARGV, entry + 2, last_word))
  if type(id) == 'table' then refused = id.err break end
  added[#added + 1], reached, entry = id, ARGV[entry], last_word + 1
end
if #added > 0 then
  local moved = redis.pcall('XGROUP', 'SETID', key, group, reached)
  if moved.err then
    -- Entries without a position would be appended again.
    redis.pcall('XDEL', key, unpack(added))
    return {at, moved.err}
  end
end
return {reached, refused}
