-- Whether the caller may touch the group's entries: the lease of the group in this stream is the
-- caller's, or nobody has one and the caller needs none ('').
local function is_holder(lease, token)
  return (redis.call('GET', lease) or '') == token
end

-- Who has a pending entry, for how many milliseconds, and how often it was delivered.
local function pending(key, group, id)
  local found = redis.call('XPENDING', key, group, id, id, 1)[1]
  if found then return found[2], found[3], found[4] end
end

local function now_ms()
  local now = redis.call('TIME')
  return tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end

local function digits(number)
  return string.format('%.0f', number)
end

-- Takes an entry over and gives its fields; nothing where it was deleted meanwhile, and then it is no
-- longer pending either, which servers before 7.0 leave to us.
local function claim(key, group, consumer, id, ...)
  local entry = redis.call('XCLAIM', key, group, consumer, 0, id, ...)[1]
  if entry then return entry[2] end
  redis.call('XACK', key, group, id)
end
