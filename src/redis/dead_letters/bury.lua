-- Moves a pending entry to the dead letters: it is acked and there, or it is pending still.
--
-- KEYS[1..6]  the stream, its dead letters, their counts, what is due, the failures, the lease
-- ARGV[1]     the group
-- ARGV[2]     the consumer that must own the entry
-- ARGV[3]     the entry's id
-- ARGV[4]     what the lease must say, or an empty text where none is needed
-- ARGV[5]     how many dead letters are kept
-- ARGV[6]     "replay" where the stream is one of replayed letters, which loses what is done
-- ARGV[7]     what stands round a text among the fields: a quote, or nothing
-- ARGV[8..]   the names and values of the letter's fields, of which the last are when it first failed,
--             when it last did, and how many are ours; a time that is empty is now
--
-- Answers "done", "other" where the entry or the lease is another's, or "gone" where the entry is not
-- pending.

local stream, letters, counts, due, failures, lease = unpack(KEYS)
local group, consumer, id, token, most, kind, quote = unpack(ARGV, 1, 7)
local is_replay = kind == 'replay'

if token ~= '' and redis.call('GET', lease) ~= token then return 'other' end
local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
-- With a group goes all that was pending in it, as that of replayed letters with the last of them.
if pending.err and pending.err:find('NOGROUP', 1, true) then return 'gone' end
if pending.err then return pending end
if not pending[1] then return 'gone' end
if pending[1][2] ~= consumer then return 'other' end

-- The times are the last fields but the count of ours.
local now = quote .. utc(redis.call('TIME')) .. quote
local words, times = {}, {[#ARGV - 4] = true, [#ARGV - 2] = true}
for at = 8, #ARGV do words[at - 7] = times[at] and ARGV[at] == '' and now or ARGV[at] end

-- What can be refused comes first: without memory, or behind a maximal id, the entry stays pending.
local letter = redis.call('XADD', letters, '*', unpack(words))
local acked = redis.pcall('XACK', stream, group, id)
if acked ~= 1 then
  redis.call('XDEL', letters, letter)
  return acked == 0 and 'gone' or acked
end

-- From here on the move is made, and nothing undoes it.
redis.pcall('ZREM', due, id)
redis.pcall('HDEL', failures, id)
redis.pcall('HINCRBY', counts, 'moved', 1)
if redis.call('XLEN', letters) > tonumber(most) then
  local dropped = redis.pcall('XTRIM', letters, 'MAXLEN', '=', most)
  if type(dropped) == 'number' then redis.pcall('HINCRBY', counts, 'dropped', dropped) end
end
if is_replay then
  redis.pcall('XDEL', stream, id)
  if redis.call('XLEN', stream) == 0 then redis.pcall('DEL', stream) end
end
return 'done'
