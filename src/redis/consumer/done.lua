-- Acks entries and forgets what was kept of them.
-- KEYS: the stream, due, failures, lease. ARGV: the group; the token; 'delete' to delete the entries
-- besides, and the stream with the last one; the ids.
-- Answers how many were pending, or false where the lease is another's.
if not is_holder(KEYS[4], ARGV[2]) then return false end
local acked = 0
for at = 4, #ARGV do
  local id = ARGV[at]
  acked = acked + redis.call('XACK', KEYS[1], ARGV[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  if ARGV[3] == 'delete' then redis.call('XDEL', KEYS[1], id) end
end
if ARGV[3] == 'delete' and redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
return acked
