-- The server's time, as TIME gives it, like 2026-02-11T12:58:38.123456+00:00.
local function utc(time)
  local seconds, year, month = tonumber(time[1]), 1970, 1
  local days, second = math.floor(seconds / 86400), seconds % 86400
  local lengths = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
  local function is_leap() return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end
  local function year_length() return is_leap() and 366 or 365 end
  while days >= year_length() do days, year = days - year_length(), year + 1 end
  if is_leap() then lengths[2] = 29 end
  while days >= lengths[month] do days, month = days - lengths[month], month + 1 end
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06d+00:00', year, month, days + 1,
    math.floor(second / 3600), math.floor(second / 60) % 60, second % 60, tonumber(time[2]))
end
