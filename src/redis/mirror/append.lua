-- Appends the entries that come after the group's position, and moves it with them.
-- KEYS: the stream. ARGV: the group; the entries; where the mirror believes the group to be, and how
-- many of the entries are there already if it is. An entry is its id, the number of its fields with
-- their names, and the values; or, with the fields of the entry before, its id, '=' with the numbers of
-- those that have another value, and these values.
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
-- Where in the command the values stand that an entry changes, by what it says of them.
local places = {}
while word < entries_end do
  local id, layout = argv[word], argv[word + 1]
  local changed = places[layout]
  word = word + 2
  if not changed then
    changed = {}
    local count = tonumber(layout)
    if count then
      words = 3 + 2 * count
      for name = 4, words, 2 do command[name], word = argv[word], word + 1 end
      for value = 5, words, 2 do changed[#changed + 1] = value end
    else
      for number in layout:gmatch('%d+') do changed[#changed + 1] = 3 + 2 * number end
      places[layout] = changed
    end
  end
  for number = 1, #changed do command[changed[number]], word = argv[word], word + 1 end
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
