#!lua flags=no-writes
--[[ read_holds — Reads holds as they are at one instant.
  KEYS  hold...
  ARGV  1 now_ms ("" = TIME)  2.. hold_id...
  Returns
    due  (location sku)...                    where a hold has to be expired first
    ok   (record state)...                    in the order of KEYS; "" where there is none
  Cost  O(holds). Writes nothing. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
local now, answer, due = read_now(ARGV[1]), { 'ok' }, { 'due' }
for i, key in ipairs(KEYS) do
  local hold = read_hold(key, ARGV[i + 1])
  if hold and hold.word == 'HELD' and now >= hold.deadline then
    for _, line in ipairs(parse_lines(hold)) do
      if line.held > 0 then
        due[#due + 1], due[#due + 2] = line.location, line.sku
        break
      end
    end
  end
  answer[2 * i], answer[2 * i + 1] = hold and hold.record or '', hold and hold.state or ''
end
return #due > 1 and due or answer
