-- Reads new entries for the holder of the group's lease, and for nobody else.
-- KEYS: the stream, lease. ARGV: the group; the consumer; its token; how many.
-- Answers the entries as XREADGROUP does, nothing where there are none, or false where the lease is
-- another's.
if not is_holder(KEYS[2], ARGV[3]) then return false end
local found = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[4], 'STREAMS', KEYS[1], '>')
return found and found[1] and found[1][2] or {}
