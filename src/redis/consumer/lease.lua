-- Takes or keeps the lease by which one consumer alone has a stream for its group.
-- KEYS: lease, standby. ARGV: the token; for how many milliseconds; 'free' to give it back.
-- Answers 1 where it is the caller's, 2 where it became so just now, 0 where it is another's; and how
-- many others stand by.
local holder = redis.call('GET', KEYS[1])
if ARGV[3] == 'free' then
  if holder == ARGV[1] then redis.call('DEL', KEYS[1]) end
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {0, 0}
end
local now, ttl = now_ms(), tonumber(ARGV[2])
if holder and holder ~= ARGV[1] then
  redis.call('ZADD', KEYS[2], digits(now + ttl), ARGV[1])
  redis.call('PEXPIRE', KEYS[2], digits(2 * ttl))
  return {0, 0}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', digits(now))
return {holder and 1 or 2, redis.call('ZCARD', KEYS[2])}
