-- Moves a dead letter to the stream of a group's replayed letters.
--
-- KEYS[1..4]  the stream, its dead letters, their counts, the group's stream of replayed letters
-- ARGV[1]     the group
-- ARGV[2]     the dead letter's id
-- ARGV[3..]   the names and values of the fields of the replayed entry
--
-- Answers "done", "gone" where the letter is not there, or "no group" where nobody would read it.

local stream, letters, counts, replay = unpack(KEYS)
local group, letter = ARGV[1], ARGV[2]

local function has_group()
  local groups = redis.call('EXISTS', stream) == 1 and redis.call('XINFO', 'GROUPS', stream) or {}
  for _, fields in ipairs(groups) do
    for at = 1, #fields, 2 do
      if fields[at] == 'name' and fields[at + 1] == group then return true end
    end
  end
end

if not redis.call('XRANGE', letters, letter, letter)[1] then return 'gone' end
if not has_group() then return 'no group' end

-- What can be refused comes first: the letter stays until its copy is there.
local made = redis.pcall('XGROUP', 'CREATE', replay, group, '0', 'MKSTREAM')
if made.err and not made.err:find('BUSYGROUP', 1, true) then
  return redis.call('XGROUP', 'CREATE', replay, group, '0', 'MKSTREAM')
end
local copy = redis.call('XADD', replay, '*', unpack(ARGV, 3))
local deleted = redis.pcall('XDEL', letters, letter)
if deleted ~= 1 then
  redis.call('XDEL', replay, copy)
  return deleted
end
redis.pcall('HINCRBY', counts, 'replayed', 1)
return 'done'
