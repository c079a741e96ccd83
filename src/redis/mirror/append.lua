-- Appends the entries that come after the group's position, and moves it with them.
-- KEYS: the stream. ARGV: the group; the entries; where the mirror believes the group to be, and how
-- many of the entries are there already if it is. An entry is its id, the number of its fields with
-- their names, or '=' where they are those of the entry before, and the values.
-- Answers the position, how many entries were appended, and the error if one kept entries back. Where the position is none of
-- the ids that were sent, nothing was appended: it is for the mirror to find its place.
local key, group, argv, pcall = KEYS[1], ARGV[1], ARGV, redis.pcall
local believed, known = argv[#argv - 1], tonumber(argv[#argv])
local at = position(key, group)
if type(at) == 'table' then return at end
if not at then return {'', 0} end
-- How many entries are to be passed over; false while the position is looked for among them.
local passed = at == believed and known
local command, words, word, entries_end = {'XADD', key, '*'}, 3, 2, #argv - 1
local added, reached, refused = 0, at, nil
while word < entries_end do
  local id, layout = argv[word], argv[word + 1]
  word = word + 2
  if layout ~= '=' then
    words = 3 + 2 * layout
    for name = 4, words, 2 do command[name], word = argv[word], word + 1 end
  end
  for value = 5, words, 2 do command[value], word = argv[word], word + 1 end
  if passed == 0 then
    local answer = pcall(unpack(command, 1, words))
    if type(answer) == 'table' then refused = answer.err break end
    added, reached = added + 1, id
  elseif passed then
    passed = passed - 1
  elseif id == at then
    passed = 0
  end
end
if added > 0 then
  local moved = pcall('XGROUP', 'SETID', key, group, reached)
  if moved.err then
    -- Entries without a position would be appended again.
    for _, entry in ipairs(pcall('XREVRANGE', key, '+', '-', 'COUNT', added)) do
      pcall('XDEL', key, entry[1])
    end
    return {at, 0, moved.err}
  end
end
return {reached, added, refused}
