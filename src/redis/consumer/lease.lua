-- Takes or keeps the lease by which one consumer alone has a stream for its group.
-- KEYS: lease, standby. ARGV: the consumer; the number of its tokens; for how many milliseconds, or
-- 'free' to give it back.
-- Answers 1 where it is the caller's, 2 where it became so just now, 0 where it is another's; and how
-- many others stand by. What a lost connection sent comes late and with a lower number: it takes
-- nothing back.
local holder, consumer, token = redis.call('GET', KEYS[1]), ARGV[1], ARGV[1] .. '#' .. ARGV[2]
local name, number = (holder or ''):match('^(.*)#(%d+)$')
local is_anothers = holder and (name ~= consumer or tonumber(number) > tonumber(ARGV[2]))
if ARGV[3] == 'free' then
  if not is_anothers then redis.call('DEL', KEYS[1]) end
  redis.call('ZREM', KEYS[2], consumer)
  return {0, 0}
end
local now, ttl = now_ms(), tonumber(ARGV[3])
if is_anothers then
  redis.call('ZADD', KEYS[2], digits(now + ttl), consumer)
  redis.call('PEXPIRE', KEYS[2], digits(2 * ttl))
  return {0, 0}
end
-- A lease is kept without memory, too, so that what is in hand can still be acked.
if holder == token then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], token, 'PX', ARGV[3])
end
redis.call('ZREM', KEYS[2], consumer)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', digits(now))
return {holder == token and 1 or 2, redis.call('ZCARD', KEYS[2])}
