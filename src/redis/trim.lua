-- Removes entries from the beginning of a stream, never one that a group has not read and acked.
--
-- KEYS[1]  the stream
-- ARGV[1]  the rule: max_len, min_id or older_than
-- ARGV[2]  its value: a number of entries, an id in full (ms-seq), or milliseconds
-- ARGV[3]  how many entries the stream may have more than max_len says
-- ARGV[4]  the most entries to remove as whole nodes, which are not read
-- ARGV[5]  the most entries to remove one by one
-- ARGV[6]  "force" to remove what groups have not read, too
--
-- Answers {removed, the group that held entries back, or an empty text}.

local key, rule, limit = KEYS[1], ARGV[1], ARGV[2]
local MAX_ID = '18446744073709551615-18446744073709551615'

local function is_less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- As text: a number of Lua is too short for one half of an id.
local function is_before(a, b)
  local a_time, a_count = a:match('^(%d+)-(%d+)$')
  local b_time, b_count = b:match('^(%d+)-(%d+)$')
  if a_time ~= b_time then return is_less(a_time, b_time) end
  return is_less(a_count, b_count)
end

local length = redis.call('XLEN', key)
local most = tonumber(ARGV[4])
if rule == 'max_len' then
  local surplus = length - tonumber(limit)
  if surplus <= tonumber(ARGV[3]) then return {0, ''} end
  most = math.min(most, surplus)
  limit = MAX_ID
elseif rule == 'older_than' then
  local now = redis.call('TIME')
  local time = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - tonumber(limit)
  if time <= 0 then return {0, ''} end
  limit = string.format('%.0f-0', time)
end

local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
if not first or not is_before(first[1], limit) then return {0, ''} end

-- What a group needs: the oldest of its pending entries that is still there, and the first that it
-- has not read.
local function needs(group)
  local oldest = group.pending > 0 and redis.call('XPENDING', key, group.name, first[1], '+', 1)[1]
  local read = group['last-delivered-id']
  local unread = read ~= MAX_ID and redis.call('XRANGE', key, '(' .. read, '+', 'COUNT', 1)[1]
  if oldest and unread and is_before(unread[1], oldest[1]) then return unread[1] end
  return oldest and oldest[1] or unread and unread[1]
end

local holder = ''
if ARGV[6] ~= 'force' then
  for _, fields in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = {}
    for at = 1, #fields, 2 do group[fields[at]] = fields[at + 1] end
    if not is_position_group(group.name) then
      local needed = needs(group)
      if needed and is_before(needed, limit) then
        limit, holder = needed, group.name
      end
    end
  end
end

-- Whole nodes are cheap; LIMIT keeps the rest of the stream at max_len.
local removed = redis.call('XTRIM', key, 'MINID', '~', limit, 'LIMIT', most)
local wanted = math.min(most - removed, tonumber(ARGV[5]))
if wanted > 0 then
  local found = #redis.call('XRANGE', key, '-', '(' .. limit, 'COUNT', wanted)
  if found > 0 then
    removed = removed + redis.call('XTRIM', key, 'MAXLEN', '=', length - removed - found)
  end
  if found < wanted then return {removed, holder} end
end
return {removed, ''}
