-- Deletes dead letters and counts them.
--
-- KEYS[1..2]  the dead letters, their counts
-- ARGV        the letters' ids
--
-- Answers how many were there.

local purged = redis.call('XDEL', KEYS[1], unpack(ARGV))
if purged > 0 then redis.pcall('HINCRBY', KEYS[2], 'purged', purged) end
return purged
