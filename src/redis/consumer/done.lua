-- Acks entries and forgets what was kept of them.
-- KEYS: the stream, due, failures, lease. ARGV: the group; the token; 'bare' where nothing was kept of
-- them, 'delete' to delete the entries besides, and the stream with the last one; the ids.
-- Answers how many were pending, or false where the lease is another's.
if not is_holder(KEYS[4], ARGV[2]) then return false end
local ids = {unpack(ARGV, 4)}
local acked = redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
if ARGV[3] ~= 'bare' then
  redis.call('ZREM', KEYS[2], unpack(ids))
  redis.call('HDEL', KEYS[3], unpack(ids))
end
if ARGV[3] == 'delete' then
  redis.call('XDEL', KEYS[1], unpack(ids))
  if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
end
return acked
