-- Makes a group where it is missing, and forgets what was kept for one of its name before.
-- KEYS: the stream, due, failures, lease. ARGV: the group; the id behind which a new one begins; 'free'
-- where nobody may have the lease.
-- Answers 0: there is no such stream; 1: the group was there; 2: it was made; 3: somebody has the lease.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[3] == 'free' and redis.call('EXISTS', KEYS[4]) == 1 then return 3 end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2])
if made.err then
  if made.err:find('BUSYGROUP', 1, true) then return 1 end
  -- Without memory none is made, be it there or not.
  for _, fields in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    for at = 1, #fields, 2 do
      if fields[at] == 'name' and fields[at + 1] == ARGV[1] then return 1 end
    end
  end
  return made
end
redis.call('DEL', KEYS[2], KEYS[3])
return 2
