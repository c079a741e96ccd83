-- Takes or keeps the lease by which one consumer alone has a stream for its group.
-- KEYS: lease. ARGV: the token; for how many milliseconds; 'free' to give it back.
-- Answers 1 where it is the caller's, 2 where it became so just now, 0 where it is another's.
local holder = redis.call('GET', KEYS[1])
if ARGV[3] == 'free' then
  if holder == ARGV[1] then redis.call('DEL', KEYS[1]) end
  return 0
end
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 1 or 2
