#!lua flags=no-writes
--[[ count_lines — Counts the lines of holds.
  KEYS  hold...
  ARGV  1 max_lines
  Returns
    ok   lines                                of all together, or more than max_lines
  Cost  O(holds). Writes nothing. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
local max_lines, total = whole(ARGV[1], 0), 0
for _, key in ipairs(KEYS) do
  local hold = find_hold(match(key, '^.*:(.*)$'))
  if hold and total <= max_lines then
    local _, commas = string.gsub(packed_lines(hold), ',', ',')
    total = total + commas + 1
  end
end
return { 'ok', total }
