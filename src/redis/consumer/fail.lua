-- Notes that an attempt failed, and when the next one is due.
-- KEYS: the stream, due, failures, lease. ARGV: the group; the consumer; its token; the entry's id;
-- how many milliseconds to wait; how many attempts have failed; why the last one did.
-- Answers 1, or 0 where the entry is no longer the consumer's.
local id = ARGV[4]
local owner = is_holder(KEYS[4], ARGV[3]) and pending(KEYS[1], ARGV[1], id)
if owner ~= ARGV[2] then return 0 end
local now = now_ms()
local known = redis.call('HGET', KEYS[3], id)
local first = known and known:match('^[^\n]*\n%d+\n(%d+)') or digits(now)
local record = {ARGV[2], ARGV[6], first, digits(now), ARGV[7]}
redis.call('HSET', KEYS[3], id, table.concat(record, '\n'))
-- The millisecond that has begun is not waited for.
redis.call('ZADD', KEYS[2], digits(now + 1 + tonumber(ARGV[5])), id)
return 1
