-- Appends the entries that come after the group's position, and moves it with them.
-- KEYS: the stream. ARGV: the group; for each entry its id, the number of its words, and the words
-- (field, value, ...); last, where the mirror believes the group to be, and how many of the entries
-- are there already if it is.
-- Answers the position; behind it the error, if one kept entries back. Where the position is none of
-- the ids that were sent, nothing was appended: it is for the mirror to find its place.
local key, group = KEYS[1], ARGV[1]
local believed, known = ARGV[#ARGV - 1], tonumber(ARGV[#ARGV])
local at = position(key, group)
if type(at) == 'table' then return at end
if not at then return {''} end
local entry, entries_end = 2, #ARGV - 1
local function next_entry() return entry + 2 + ARGV[entry + 1] end
if at == believed then
  for _ = 1, known do entry = next_entry() end
else
  while entry < entries_end and ARGV[entry] ~= at do entry = next_entry() end
  if entry >= entries_end then return {at} end
  entry = next_entry()
end
local added, reached, refused = {}, at, nil
while entry < entries_end do
  local id = redis.pcall('XADD', key, '*', unpack(ARGV, entry + 2, next_entry() - 1))
  if type(id) == 'table' then refused = id.err break end
  added[#added + 1], reached, entry = id, ARGV[entry], next_entry()
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
