-- Moves a dead letter to the stream of a group's replayed letters.
--
-- KEYS[1..3]  the dead letters, the group's stream of replayed letters, the counts
-- ARGV[1]     the group
-- ARGV[2]     the dead letter's id
-- ARGV[3..]   the names and values of the fields of the replayed entry
--
-- Answers its id, or nil where the letter is gone.

local letters, replay, counts = unpack(KEYS)
local group, letter = ARGV[1], ARGV[2]
if not redis.call('XRANGE', letters, letter, letter)[1] then return false end

-- What can be refused comes first: the letter stays until its copy is there.
local made = redis.pcall('XGROUP', 'CREATE', replay, group, '0', 'MKSTREAM')
if made.err and not made.err:find('BUSYGROUP', 1, true) then return made end
local id = redis.call('XADD', replay, '*', unpack(ARGV, 3))
local deleted = redis.pcall('XDEL', letters, letter)
if deleted ~= 1 then
  redis.call('XDEL', replay, id)
  return deleted ~= 0 and deleted
end
redis.pcall('HINCRBY', counts, 'replayed', 1)
return id
