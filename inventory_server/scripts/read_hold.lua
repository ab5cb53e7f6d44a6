#!lua flags=no-writes
--[[ read_hold — Reads a hold.
  KEYS  1 hold
  ARGV  1 now_ms ("" = TIME)  2 hold_id
  Returns
    hold_not_found
    due  number location sku                  past its deadline; to be expired first
    ok   record state
  Cost  O(1). Writes nothing. ]]
-- include: now.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
local now = read_now(ARGV[1])
local hold = read_hold(KEYS[1], ARGV[2])
if not hold then return { 'hold_not_found' } end
if hold.word == 'HELD' and now >= hold.deadline then
  return { 'due', match(packed_lines(hold), '^(%d+) (%S+) (%S+)') }
end
return { 'ok', hold.record, hold.state }
