-- Takes or keeps the lease by which one consumer alone has a stream for its group.
-- KEYS: lease, standby. ARGV: the token; the consumer, with whose name all its tokens begin; for how
-- many milliseconds, or 'free' to give it back.
-- Answers 1 where it is the caller's, 2 where it became so just now, 0 where it is another's; and how
-- many others stand by.
local holder, consumer = redis.call('GET', KEYS[1]), ARGV[2]
local is_anothers = holder and holder:sub(1, #consumer) ~= consumer
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
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('ZREM', KEYS[2], consumer)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', digits(now))
return {holder == ARGV[1] and 1 or 2, redis.call('ZCARD', KEYS[2])}
