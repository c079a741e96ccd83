-- The last-delivered id of a group, false where there is none, an error where that cannot be told.
local function position(key, group)
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if groups.err then
    return (not string.find(groups.err, 'no such key', 1, true)) and groups
  end
  for _, fields in ipairs(groups) do
    local name, last
    for at = 1, #fields, 2 do
      if fields[at] == 'name' then name = fields[at + 1] end
      if fields[at] == 'last-delivered-id' then last = fields[at + 1] end
    end
    if name == group then return last end
  end
  return false
end
