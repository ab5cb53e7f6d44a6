-- Of an inactive product nobody is told that it runs out. Its levels keep the
-- alert state that they have, unless it gets better; when the product is active
-- again, their next change judges them anew.

-- Whether so many available units make a level's alert state worse: where
-- change_level would write LOW or OUT.
local function gets_worse(level, units)
  return units <= 0 and level.alert_state ~= 'OUT'
    or units <= level.reorder_point and level.alert_state == 'OK'
end

local function quiet_inactive(lines)
  for _, i in ipairs(lines[1] and inactive_lines(lines) or {}) do lines[i].level.is_quiet = true end
end

-- Before these changes of what is available: keeps the levels quiet that they
-- would make worse and whose SKU is inactive. Where none gets worse, nothing is
-- asked.
local function quiet_worse(lines, deltas)
  local worse = {}
  for i, line in ipairs(lines) do
    if gets_worse(line.level, available(line.level) + deltas[i]) then worse[#worse + 1] = line end
  end
  quiet_inactive(worse)
end

-- The same before the planned units of a hold's lines move. They come back, or
-- are sold where they were held: what is available never falls by that. But a
-- level that fell while it was quiet is judged anew by it.
local function quiet_planned(lines)
  local worse = {}
  for _, line in ipairs(lines) do
    local level, back = line.level, line.release + line.expire
    if line.confirm + back > 0
        and gets_worse(level, available(level) + (line.confirm > 0 and 0 or back)) then
      line.inactive = partition_key(line.number, 'inactive')
      worse[#worse + 1] = line
    end
  end
  quiet_inactive(worse)
end
