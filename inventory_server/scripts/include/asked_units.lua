-- The lines of a verb that speaks of a part of a hold: "location sku quantity",
-- commas between; empty for all that is held.

-- Sets each line's `asked`. Answers what is asked beyond what is held:
-- (number held)..., by the number of the asked line.
local function ask_units(lines, asked)
  local by_name, excess, number = {}, {}, 0
  for _, line in ipairs(lines) do
    line.asked = asked == '' and line.held or 0
    by_name[line.location .. ' ' .. line.sku] = line
  end
  for name, quantity in string.gmatch(asked, '(%S+ %S+) ([^,]+),?') do
    local line, units = by_name[name], whole(quantity, 1)
    number = number + 1
    if not line or units > line.held then
      excess[#excess + 1], excess[#excess + 2] = number, line and line.held or 0
    else
      line.asked = units
    end
  end
  if asked ~= '' and number == 0 then error('not lines: ' .. asked) end
  return excess
end
