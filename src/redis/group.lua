-- Whether a group is a mirror's position: `planbus:`, the 26 characters of its store's id, and maybe
-- `:` and the mirror's name.
local function is_position_group(name)
  local rest = name:match('^planbus:' .. ('[0-9A-Z]'):rep(26) .. '(.*)$')
  return rest == '' or (rest and rest:find('^:%w[%w._-]*$'))
end

