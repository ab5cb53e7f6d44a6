#!lua flags=no-writes
--[[ sum_levels — Counts the levels that are low or out, and says what each one has.
  KEYS  level...
  ARGV  none
  Returns
    ok   low out on_hand... held...   in the order of KEYS; "" where there is none
  Cost  O(levels). Writes nothing, and does not ask whether holds are due. ]]
-- include: arguments.lua
-- include: level.lua
local low, out, answer = 0, 0, { 'ok' }
for i, key in ipairs(KEYS) do
  local level = read_level(key)
  answer[3 + i], answer[3 + #KEYS + i] = level and level.on_hand or '', level and level.held or ''
  local units = level and available(level) or nil
  if units and units <= 0 then
    out = out + 1
  elseif units and units <= level.reorder_point then
    low = low + 1
  end
end
answer[2], answer[3] = low, out
return answer
